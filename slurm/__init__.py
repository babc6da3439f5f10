"""What the project keeps for SLURM; not installed with the package, run from the checkout."""
