"""A real SLURM on one host, for the tests and for trying sweeps: docs/slurm.md."""
