"""The content of a start file by its hash, so that a run is named by it; nothing imports torch."""

import hashlib
from pathlib import Path

from tgdp.errors import UserError


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file that `init.file` names, 64 hexadecimal digits.

    Raises:
        UserError: The file is absent or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise UserError(f"init.file {path}: no such file") from error
    except OSError as error:
        raise UserError(f"init.file {path}: cannot be read ({error.strerror})") from error
