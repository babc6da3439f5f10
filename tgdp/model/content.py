"""The content of a start file by its hash, so that a run is named by it; nothing imports torch."""

import hashlib
from pathlib import Path

from tgdp.config import Config, override
from tgdp.errors import UserError


def named_by_content(config: Config) -> Config:
    """Return the configuration with the hash of its start file, so that the run is named by it.

    Raises:
        UserError: The file is absent or cannot be read.
    """
    file = config.init.file
    if config.init.source != "file" or file is None or config.init.sha256:
        return config
    content = {"init.sha256": sha256_of(file), "init.file": str(file.resolve())}
    return override(config, content, "init.file")


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
