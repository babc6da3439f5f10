"""What `tgdp-sweep SWEEP --cluster slurm` does: check, submit, say what comes next."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tgdp.cli.next_command import in_results
from tgdp.cli.sweep_run import (
    Wanted,
    look_at,
    note_launch,
    of_the_embedded,
    say,
    say_failed,
    write_tables,
)
from tgdp.cli.sweep_start import Where
from tgdp.config import Config
from tgdp.errors import UserError
from tgdp.sweep.declare import Sweep
from tgdp.sweep.launch import FAILED, STOPPED
from tgdp.sweep.lifetime import look
from tgdp.sweep.plan import Plan, check_writable, make_plan
from tgdp.sweep.show import plan_table, summary
from tgdp.sweep.slurm.check import check, refuse, warnings
from tgdp.sweep.slurm.groups import stages_left
from tgdp.sweep.slurm.jobs import STAGES, StageName
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.slurm.profile_files import load_profile, profile_files, with_parallelism
from tgdp.sweep.slurm.site import SLURMS_ARRAY_SIZE, Site, read_site
from tgdp.sweep.stages import IN_TWO, Stages
from tgdp.sweep.trouble import trouble

if TYPE_CHECKING:
    from tgdp.sweep.slurm.submit import Submission

MOST_SHOWN, MOST_SUBMITTED = 5, 12


def on_slurm(sweep: Sweep, wanted: Wanted, where: Where, stages: Stages = IN_TWO) -> int:
    """Submit what is left of a sweep, or show what would be.

    Args:
        sweep: The declaration.
        wanted: What was asked for.
        where: Profile, and what is done with it.
        stages: What the jobs of a run do.

    Returns:
        The exit code: 0, or with `wait` 1 when a run is not done at the end, 130 after Ctrl-C.

    Raises:
        UserError: Something is wrong with the words, the profile or the cluster.
    """
    profile = named_profile(where.profile, wanted.jobs)
    base, cells, plan = look_at(sweep, wanted)
    if where.show_script:
        return _show(plan, profile, wanted.results)
    console = Console()
    if where.dry_run:
        console.print(plan_table(plan))
    made = of_the_embedded(base, plan, wanted.results, "by the first training job")
    say(console, (*base.notes, *summary(plan, profile.array_parallelism or len(plan.runs)), *made))
    if not plan.todo():
        return 0
    site = _checked(plan, profile, console)
    if where.dry_run:
        return 0
    check_writable(wanted.results)
    note_launch(sweep, base, cells, wanted)
    from tgdp.sweep.slurm.submit import submit

    done = submit(plan, profile, wanted.results, site.array_size, stages)
    _say_submitted(console, sweep, wanted, done)
    if not where.wait:
        return 0
    if not _wait(console, plan, _cancel(sweep, wanted)):
        return STOPPED
    after = make_plan(sweep, cells, wanted.results, wanted.retry, plan.runs[0].probes)
    write_tables(console, sweep, base, cells, wanted)
    return _say_left(console, after)


def submit_and_wait(plan: Plan, name: str, console: Console, stages: Stages = IN_TWO) -> bool:
    """Submit a plan that no launch knows of, and return when it is over.

    Args:
        plan: What is to be done.
        name: Of the profile.
        console: Where to say how it goes.
        stages: What the jobs of a run do.

    Returns:
        False if somebody did not want to wait any more.

    Raises:
        UserError: Something is wrong with the profile or the cluster.
    """
    from tgdp.sweep.slurm.submit import submit

    profile = named_profile(name, None)
    site = _checked(plan, profile, console)
    results = plan.runs[0].folder.parent
    done = submit(plan, profile, results, site.array_size, stages)
    say(console, (*(f"Submitted {part.number}: {part.stage}." for part in done.submitted),))
    # Nothing is noted of it, so its runs have no name there.
    return _wait(console, plan, in_results("tgdp-sweep cancel '*'", results))


def named_profile(name: str | None, jobs: int | None) -> Profile:
    """Return the profile that was named, with so many runs at once.

    Raises:
        UserError: None was named, or it is not valid.
    """
    if name is None:
        raise UserError(
            f"--cluster slurm: name a profile with --profile NAME; there are: "
            f"{', '.join(profile_files())} (`tgdp-sweep profiles` says more)"
        )
    return with_parallelism(load_profile(name), jobs)


def _checked(plan: Plan, profile: Profile, console: Console) -> Site:
    site = read_site()
    needed: set[StageName] = {stage for run in plan.todo() for stage in stages_left(run)}
    stages: list[StageName] = [stage for stage in STAGES if stage in needed]
    refuse(profile, str(profile_files()[profile.name]), check(profile, site, stages))
    for run in plan.todo() if "train" in needed else ():
        require_pairs(profile, run.cell.config)
    say(console, warnings(profile, site))
    return site


def require_pairs(profile: Profile, config: Config) -> None:
    """Refuse more processes than a step has pairs.

    Raises:
        UserError: Some would have none.
    """
    training = config.training
    if training.batch_size // training.accumulation < profile.world:
        raise UserError(
            f"profile '{profile.name}': {profile.world} processes a run, and training.batch_size "
            f"{training.batch_size} in {training.accumulation} part(s) gives some of them no "
            "pair; ask for fewer nodes or gpus, or raise the batch"
        )


def _show(plan: Plan, profile: Profile, results: Path) -> int:
    from tgdp.sweep.slurm.submit import scripts

    console, aside = Console(), Console(stderr=True)
    try:
        largest = read_site().array_size
    except UserError as error:
        # A script can be read anywhere; how long an array may be is all that is not known.
        say(aside, (f"{error}. Arrays of {SLURMS_ARRAY_SIZE} are assumed.",))
        largest = SLURMS_ARRAY_SIZE
    for title, text in scripts(plan, profile, results, largest):
        say(aside, (f"# {title}",))
        console.out(text, end="", highlight=False)
    return 0


def _say_submitted(console: Console, sweep: Sweep, wanted: Wanted, done: "Submission") -> None:
    # Single jobs of a chain may be hundreds.
    rest = len(done.submitted) - MOST_SUBMITTED
    for part in done.submitted[:MOST_SUBMITTED]:
        number = len(part.jobs)
        runs = f"{number} run{'s' * (number != 1)}"
        waits = f", after {part.waits}" if part.waits else ""
        say(console, (f"Submitted {part.number}: {part.stage}, {runs}{waits}.",))
    if rest > 0:
        say(console, (f"... and {rest} more, to {done.submitted[-1].number}.",))
    say(console, tuple(_left_alone(done)))
    if done.folder is None:
        say(console, ("Nothing submitted.", f"  {wanted.status(sweep)}"))
        return
    code = done.snapshot.folder
    say(console, (*done.snapshot.notes, *((f"Code: {code}",) if code else ())))
    first = done.submitted[0].runs[0]
    say(
        console,
        (
            f"Logs: {done.folder}. Next:",
            f"  {wanted.status(sweep, '--watch')}",
            f"  {in_results(f'tgdp-sweep logs {first} -f', wanted.results)}",
            f"  {_cancel(sweep, wanted)}",
        ),
    )


def _left_alone(done: "Submission") -> Iterable[str]:
    if not done.taken:
        return
    shown = [f"{run} ({why})" for run, why in list(done.taken.items())[:MOST_SHOWN]]
    rest = len(done.taken) - len(shown)
    more = f" and {rest} more" if rest else ""
    number = len(done.taken)
    are = "run is" if number == 1 else "runs are"
    yield f"{number} {are} queued or running already: {', '.join(shown)}{more}."


def _cancel(sweep: Sweep, wanted: Wanted) -> str:
    return in_results(f"tgdp-sweep cancel {shlex.quote(sweep.name)}", wanted.results)


def _wait(console: Console, plan: Plan, cancel: str) -> bool:
    """Wait for the jobs; return False if somebody did not want to any more."""
    from tgdp.sweep.slurm.wait import wait

    try:
        wait(plan.todo(), lambda look: say(console, (f"{look}.",)))
    except KeyboardInterrupt:
        say(console, ("The jobs go on. To end them:", f"  {cancel}"))
        return False
    return True


def _say_left(console: Console, after: Plan) -> int:
    left = [run for run in after.runs if run.state != "done" or run.missing]
    for run, life in zip(left, look([(run.run, run.status) for run in left]), strict=True):
        what = "a probe is missing" if run.state == "done" else trouble(life) or life.state
        say_failed(console, run, what)
    return FAILED if left else 0
