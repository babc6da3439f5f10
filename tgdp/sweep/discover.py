"""Sweep files on disk: found by name, described without running them, loaded on demand."""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tgdp.errors import UserError, unknown_name

if TYPE_CHECKING:
    # Only for the type: it brings pydantic, which `tgdp-sweep --help` can do without.
    from tgdp.sweep.declare import Sweep
    from tgdp.sweep.tune.declare import Study

PACKAGE = Path(__file__).resolve().parents[1]
RESERVED = frozenset(
    {
        "cancel",
        "clean",
        "diff",
        "list",
        "logs",
        "plan",
        "profiles",
        "retry",
        "run",
        "status",
        "sync",
        "tune",
    }
)
"""Commands of `tgdp-sweep` that a sweep file cannot be named after."""

STUDY_FILE = "tune.py"


def sweep_folders() -> tuple[Path, ...]:
    """Return where sweep files are looked for, the first that has a name wins."""
    return (Path.cwd() / "sweeps", PACKAGE.parent / "sweeps", PACKAGE / "bundled" / "sweeps")


def sweep_files() -> dict[str, Path]:
    """Return every sweep file by the name of its sweep, in the order of the names."""
    found: dict[str, Path] = {}
    for folder in sweep_folders():
        for path in folder.glob("*.py"):
            if not path.stem.startswith("_") and path.stem not in RESERVED:
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def sweep_names() -> tuple[str, ...]:
    """Return the names of all sweeps that can be run by name."""
    return tuple(sweep_files())


def first_line(path: Path) -> str:
    """Return the first line of a sweep file's docstring, without running the file."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):
        # `--help` must list the other sweeps even when one file is broken; running it says why.
        return "(cannot be read)"
    return (text or "").partition("\n")[0]


def load_sweep(name_or_path: str | Path) -> "Sweep":
    """Return the declaration of one sweep.

    Args:
        name_or_path: A name as `sweep_names` lists it, or the path of a Python file.

    Raises:
        UserError: There is no such sweep or file, or the file declares no sweep.
    """
    path = Path(name_or_path)
    if path.suffix == ".py":
        return _load_file(path)
    files = sweep_files()
    if str(name_or_path) not in files:
        raise unknown_name("sweep", str(name_or_path), files)
    return _load_file(files[str(name_or_path)])


def load_study(path: Path | None = None) -> "Study":
    """Return the declaration of a study.

    Args:
        path: A Python file; `tune.py` beside the sweeps if None.

    Raises:
        UserError: There is no such file, or it declares no study.
    """
    from tgdp.sweep.tune.declare import Study

    if path is None:
        places = [folder / STUDY_FILE for folder in sweep_folders()]
        path = next((place for place in places if place.is_file()), places[0])
    study = getattr(_module(path, "study"), "STUDY", None)
    if not isinstance(study, Study):
        raise UserError(f"{path}: declares no study; it must set STUDY = Study(...)")
    if study.name in sweep_files():
        raise UserError(f"{path}: a sweep is called '{study.name}' too; choose another name")
    return study


def _load_file(path: Path) -> "Sweep":
    from tgdp.sweep.declare import Sweep

    sweep = getattr(_module(path, "sweep"), "SWEEP", None)
    if not isinstance(sweep, Sweep):
        raise UserError(f"{path}: declares no sweep; it must set SWEEP = Sweep(...)")
    return _checked(sweep, path)


def _module(path: Path, kind: str) -> ModuleType:
    if not path.is_file():
        raise UserError(f"{path}: no such {kind} file")
    spec = importlib.util.spec_from_file_location(f"tgdp_{kind}_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    return module


def _checked(sweep: "Sweep", path: Path) -> "Sweep":
    labels = [variant.label for variant in sweep.variants]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if not labels:
        raise UserError(f"{path}: sweep '{sweep.name}' has no variants")
    if twice:
        raise UserError(f"{path}: label {', '.join(map(repr, twice))} stands for two rows")
    return sweep
