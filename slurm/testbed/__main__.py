"""`python -m slurm.testbed up | status | down`, from the top of the checkout."""

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path

from slurm.testbed.cluster import down, up
from slurm.testbed.settings import DEFAULT_FOLDER, DEFAULT_PORT, Cluster, choose
from slurm.testbed.status import show
from tgdp.errors import UserError

USER_ERROR = 2


def main() -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args()
    try:
        cluster = choose(arguments.dir, arguments.port, arguments.accounting)
        if arguments.command == "status":
            # What reads it may stop reading, as `head` does.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            return 0 if show(cluster, _say) else 1
        started = time.monotonic()
        if arguments.command == "up":
            up(cluster, _say, as_default=not arguments.no_link)
            _say(f"up after {time.monotonic() - started:.1f} s")
            _say_exports(cluster)
        else:
            down(cluster, _say, wipe=arguments.wipe)
            _say(f"down after {time.monotonic() - started:.1f} s")
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return USER_ERROR
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m slurm.testbed", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "up": "start what is not alive, and wait until the nodes take jobs",
        "status": "which daemons live; nodes, partitions, queue; exit code 1 unless all is up",
        "down": "stop what `up` started, and nothing else",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--dir", type=Path, default=DEFAULT_FOLDER, help="its folder")
        if name != "down":
            _add_choices(command)
        if name == "up":
            command.add_argument(
                "--no-link", action="store_true", help="do not make it the machine's own cluster"
            )
        if name == "down":
            command.add_argument("--wipe", action="store_true", help="remove its folder too")
            command.set_defaults(port=None, accounting=None)
    return parser


def _add_choices(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--port", type=int, help=f"the first of its ports, otherwise {DEFAULT_PORT}"
    )
    command.add_argument(
        "--accounting",
        choices=("slurmdbd", "none"),
        help="what keeps its jobs, otherwise slurmdbd; with `none` there is no sacct",
    )


_DESCRIPTION = "A real SLURM on this host, for tests: three nodes with make-believe GPUs."


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say_exports(cluster: Cluster) -> None:
    """Say what a shell needs for SLURM's commands to reach the cluster."""
    _say(f"export SLURM_CONF={cluster.configuration}")
    if shutil.which("sbatch") is None:
        found = shutil.which("sbatch", path=cluster.environment()["PATH"])
        _say(f"export PATH=$PATH:{Path(found or '/usr/bin/sbatch').parent}")


if __name__ == "__main__":
    sys.exit(main())
