"""How every command ends: what the user can mend is one red line, Ctrl-C is quiet."""

import sys

import typer

from tgdp.errors import UserError

USER_ERROR = 2
INTERRUPTED = 130


def run(app: typer.Typer) -> None:
    """Run a command line and leave with its exit code.

    A `UserError` is shown as one line and gives 2; an interruption gives 130. Anything else is a
    defect of ours and keeps its traceback.
    """
    app.pretty_exceptions_enable = False
    try:
        app()
    except UserError as error:
        show_error(str(error))
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def show_error(message: str) -> None:
    """Print an error on stderr; brackets in it are text, not markup."""
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble(("error:", "bold red"), " ", (message, "red"))
    Console(stderr=True, soft_wrap=True).print(line)
