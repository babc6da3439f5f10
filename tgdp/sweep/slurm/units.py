"""Times and sizes as SLURM and people write them, read into whole minutes and megabytes."""

import re

MEGABYTES = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}

TIME = "minutes (90) or [days-]hours:minutes:seconds (1:30:00, 2-00:00:00)"
SIZE = "a number and its unit, K, M, G or T (64G)"


def minutes(text: str) -> int:
    """Return a length of time in minutes, rounded up.

    Raises:
        ValueError: It is neither a number of minutes nor a time of day's form.
    """
    if re.fullmatch(r"\d+", text):
        return _at_least_one(int(text))
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d{2}):(\d{2})", text)
    if found is None:
        raise ValueError(f"expected {TIME}")
    days, hours, mins, seconds = (int(part or 0) for part in found.groups())
    return _at_least_one((days * 24 + hours) * 60 + mins + (seconds > 0))


def limit_minutes(text: str) -> float:
    """Return a limit as SLURM prints it, in minutes; infinite where there is none.

    Args:
        text: As `sinfo` and `sacctmgr` have it: `infinite`, `1:00` (minutes and seconds),
            `12:00:00`, `2-00:00:00`.
    """
    found = re.fullmatch(r"(?:(\d+)-)?((?:\d+:)*\d+)", text)
    if found is None:
        return float("inf")
    days, parts = int(found[1] or 0), [int(part) for part in found[2].split(":")]
    if found[1] is not None:
        hours, mins, seconds = (*parts, 0, 0)[:3]
    elif len(parts) == 1:
        hours, mins, seconds = 0, parts[0], 0
    else:
        hours, mins, seconds = (0, 0, *parts)[-3:]
    return (days * 24 + hours) * 60 + mins + seconds / 60


def megabytes(text: str) -> int:
    """Return a size in megabytes.

    Raises:
        ValueError: It has no unit, or is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])B?", text.strip().upper())
    if found is None:
        raise ValueError(f"expected {SIZE}")
    return _at_least_one(round(float(found[1]) * MEGABYTES[found[2]]))


def as_time(number: float) -> str:
    """Return minutes as hours and minutes, `1:30:00`, with the days before them."""
    if number == float("inf"):
        return "no limit"
    hours, mins = divmod(int(number), 60)
    days, hours = divmod(hours, 24)
    return f"{days}-{hours:02}:{mins:02}:00" if days else f"{hours}:{mins:02}:00"


def as_size(number: int) -> str:
    """Return megabytes as people read them."""
    return f"{number / 1024:g}G" if number % 512 == 0 else f"{number}M"


def _at_least_one(number: int) -> int:
    if number < 1:
        raise ValueError("must be more than nothing")
    return number
