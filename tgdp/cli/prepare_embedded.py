"""The embedded benchmark made on demand, with a bar for each stage."""

from contextlib import ExitStack
from pathlib import Path

from tgdp.sweep.machine import count_cores
from tgdp.sweep.resolve import embedded_folder


def ensure_embedded(results: Path) -> None:
    """Make the embedded benchmark below the results folder, if it is not there, and show it."""
    from tgdp.cli.progress import ClipProgress
    from tgdp.data.synthetic.embedded import ensure

    shown: dict[str, ClipProgress] = {}
    with ExitStack() as stack:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                stack.close()  # a terminal shows one bar at a time
                shown[stage] = stack.enter_context(ClipProgress(f"{stage} the benchmark"))
            shown[stage].update(done, total)

        ensure(embedded_folder(results), count_cores(), report)
