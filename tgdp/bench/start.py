"""How long the commands that people type while thinking take to answer."""

import subprocess
import sys
from pathlib import Path

from tgdp.bench.timing import Timing, measure

COMMANDS = (("--help",), ("list",), ("masking", "--dry-run"), ("status", "masking"))


def time_starts(runs: int) -> list[Timing]:
    """Return the timing of each `tgdp-sweep` command as a whole process.

    Args:
        runs: Runs of each, after one that does not count.

    Raises:
        subprocess.CalledProcessError: A command failed.
    """
    program = Path(sys.executable).with_name("tgdp-sweep")

    def timing(words: tuple[str, ...]) -> Timing:
        command = [str(program), *words]
        return measure(
            " ".join(("tgdp-sweep", *words)),
            lambda: subprocess.run(command, check=True, capture_output=True),
            runs,
        )

    return [timing(words) for words in COMMANDS]
