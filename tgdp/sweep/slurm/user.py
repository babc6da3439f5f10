"""Who submits, as the system calls them."""

import getpass
import os


def user_name() -> str:
    """Return the user's name; the number as text where the system knows no name for it.

    So it is in a container, and while the directory of users is down.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError: of Python 3.13 on.
        return user_number()


def user_number() -> str:
    """Return the user's number, as text."""
    return str(os.getuid())
