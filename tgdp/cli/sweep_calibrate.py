"""`tgdp-sweep plan --calibrate`: a few steps of each row, here or on a cluster, before the plan."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tgdp.cli.prepare_embedded import ensure_embedded
from tgdp.cli.sweep_run import say
from tgdp.errors import UserError
from tgdp.sweep.calibrate import STEPS, calibrated, short_runs
from tgdp.sweep.machine import share_out
from tgdp.sweep.plan import Plan, check_writable, make_plan
from tgdp.sweep.resolve import Base
from tgdp.sweep.stages import IN_TWO, Stages


@dataclass(frozen=True)
class Calibration:
    """Where a few steps of each row are taken.

    Attributes:
        results: Results folder of the sweep.
        base: What its rows start from.
        jobs: Runs at once on this machine; None for what it has.
        profile: Name of a profile, for a cluster; None for this machine.
        stages: What the jobs of a run do.
    """

    results: Path
    base: Base
    jobs: int | None = None
    profile: str | None = None
    stages: Stages = IN_TWO

    def measure(self, plan: Plan) -> Plan:
        """Return the plan with the estimate that was measured; what was timed before is not again.

        Raises:
            UserError: A short run failed, or the cluster refuses it.
        """
        if not plan.todo():
            return plan
        # The plan itself may be JSON for a program.
        console = Console(stderr=True)
        short = short_runs(plan, self.results)
        if short.todo():
            check_writable(self.results)
            if self.base.embedded and self.profile is None:
                ensure_embedded(self.results)
            say(console, (f"Calibration: {STEPS} steps of {len(short.todo())} rows.",))
            self._run(short, console)
        cells = tuple(run.cell for run in short.runs)
        after = make_plan(plan.sweep, cells, short.runs[0].folder.parent)
        return calibrated(plan, after, self.base.splits)

    def at_once(self, runs: int) -> int:
        """Return how many runs of the plan go on at once, where they were calibrated.

        Args:
            runs: Runs of the plan; a cluster may start them all.

        Raises:
            UserError: There is no such profile, or it is not valid.
        """
        if self.profile is None:
            return share_out(self.jobs).jobs
        from tgdp.sweep.slurm.profile_files import load_profile

        return self.jobs or load_profile(self.profile).array_parallelism or max(1, runs)

    def _run(self, short: Plan, console: Console) -> None:
        if self.profile is not None:
            from tgdp.cli.sweep_slurm import submit_and_wait

            is_over = submit_and_wait(short, self.profile, console, self.stages)
        else:
            from tgdp.sweep.launch import launch

            slots = share_out(self.jobs)
            is_over = not launch(short, slots, console, stages=self.stages).stopped
        if not is_over:
            raise UserError("--calibrate: stopped; the same command again goes on")
