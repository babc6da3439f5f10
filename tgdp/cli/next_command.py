"""Commands that a command names as the next to type: they find the results folder it worked in."""

import os
import shlex
from pathlib import Path

from tgdp.cli.sweep_options import RESULTS


def in_results(command: str, results: Path) -> str:
    """Return a command as it must be typed from here.

    Args:
        command: Without `--results`.
        results: The results folder that it is about.
    """
    if results == Path(os.environ.get("TGDP_RESULTS") or RESULTS):
        return command
    return f"{command} --results {shlex.quote(str(results))}"
