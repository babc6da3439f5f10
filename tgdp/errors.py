"""The exceptions that say what went wrong in words, and are shown without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input or a full disk: the message names the file, the field and the valid choices.

    The user can mend it; the exit code is 2.
    """


class DivergedError(Exception):
    """A run whose losses or gradients are no longer numbers; the same run would end there again."""


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """Return the error for a name that is not among the choices, with the nearest one suggested.

    Args:
        kind: What the name was meant to be, in words ("sweep", "preset", "key").
        name: What the user wrote.
        choices: Every valid name.
    """
    valid = sorted(choices)
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return UserError(f"unknown {kind} '{name}'.{hint} Valid: {', '.join(valid)}")
