"""Profiles on disk: the user's own first, then those that come with the project."""

import json
import os
import re
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from tgdp.errors import UserError, unknown_name
from tgdp.sweep.slurm.profile import Profile, Resources

PACKAGE = Path(__file__).resolve().parents[2]

PLAIN = re.compile(r"[\w./][\w./=+-]*( [\w./][\w./=+-]*)*")
"""What YAML reads as the same text without quotes, in a list too."""


def user_folder() -> Path:
    """Return where a user's own profiles are: TGDP_PROFILES, else below the XDG folder."""
    if named := os.environ.get("TGDP_PROFILES"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "tgdp" / "profiles"


def profile_folders() -> tuple[Path, ...]:
    """Return where profiles are looked for; the first that has a name wins."""
    shipped = (PACKAGE.parent / "slurm" / "profiles", PACKAGE / "bundled" / "profiles")
    return (user_folder(), *shipped)


def profile_files() -> dict[str, Path]:
    """Return every profile file by its name, in the order of the names."""
    found: dict[str, Path] = {}
    for folder in profile_folders():
        for path in (*folder.glob("*.yaml"), *folder.glob("*.yml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def load_profile(name: str) -> Profile:
    """Return a profile by its name.

    Raises:
        UserError: There is none of that name, or its file cannot be read or is not valid.
    """
    files = profile_files()
    if name not in files:
        error = unknown_name("profile", name, files)
        raise UserError(f"--profile: {error}; your own belong into {user_folder()}")
    return read_profile(files[name])


def read_profile(path: Path) -> Profile:
    """Return the profile of a file.

    Raises:
        UserError: It cannot be read, has an unknown key, or a value is not valid.
    """
    try:
        profile = Profile.model_validate({**_read(path), "name": path.stem})
        for stage in ("evaluate", "probe"):
            profile.of(stage)
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error)}") from error
    return profile


def with_parallelism(profile: Profile, jobs: int | None) -> Profile:
    """Return a profile with another number of jobs at once, as `--jobs` asks for.

    Args:
        profile: The profile.
        jobs: Jobs at once; None for what it says itself.
    """
    return profile if jobs is None else profile.model_copy(update={"array_parallelism": jobs})


def _read(path: Path) -> dict[str, Any]:
    try:
        # Every scalar stays the text it is: to YAML 1.1, 12:00:00 is the number 43200, and `on` is
        # true.
        text = path.read_text(encoding="utf-8")
        twice = _twice(yaml.compose(text, yaml.BaseLoader))
        data = yaml.load(text, yaml.BaseLoader)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if twice:
        raise UserError(f"{path}: {twice}")
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected fields, a line each, as in `partition: main`")
    fields = cast("dict[str, Any]", data)
    # Only a value left empty: one that is an empty text in quotes says the same.
    return {key: value for key, value in fields.items() if value != ""}


def _twice(node: yaml.Node | None) -> str:
    """Return which key is given twice, of the profile or of a stage; YAML would take the later."""
    if not isinstance(node, yaml.MappingNode):
        return ""
    inner = ((f"{key.value}.", value) for key, value in node.value)
    for prefix, mapping in (("", node), *inner):
        lines: dict[str, int] = {}
        for key, _ in mapping.value if isinstance(mapping, yaml.MappingNode) else ():
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                return f"{prefix}{name}: is given twice, in line {lines[name]} and in line {line}"
            lines[name] = line
    return ""


def _explain(error: ValidationError) -> str:
    return "; ".join(_one(problem) for problem in error.errors())


def _one(problem: Any) -> str:
    where = [str(part) for part in problem["loc"]]
    field = ".".join(where)
    if problem["type"] == "extra_forbidden":
        section = Resources if len(where) > 1 else Profile
        return str(unknown_name("field", where[-1], set(section.model_fields) - {"name"})).replace(
            f"field '{where[-1]}'", f"field '{field}'"
        )
    if problem["type"] == "missing":
        return f"{field}: is missing, and has to be there"
    if problem["type"] == "tuple_type":
        return f"{field}: expected a list of lines, as in `{field}: {_as_list(problem['input'])}`"
    if problem["type"] in {"dict_type", "model_type"}:
        return f"{field}: expected fields of its own, as in `{field}: {{NAME: VALUE}}`"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{field}: {message} (got {problem['input']!r})" if field else message


def _as_list(value: object) -> str:
    """Return in YAML the list that somebody may have meant who wrote a text."""
    lines = [line.strip() for line in str(value).splitlines() if line.strip()]
    plain = (line if PLAIN.fullmatch(line) else json.dumps(line) for line in lines)
    return f"[{', '.join(plain)}]"
