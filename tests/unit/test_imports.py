"""The house rules that a machine can hold."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for d in ("tgdp", "sweeps", "analysis") for p in (ROOT / d).rglob("*.py"))


def test_imports_point_one_way():
    # In a process of its own: it sets up logging, which switches off every logger there is.
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    words = [sys.executable, "-c", lint]
    done = subprocess.run(words, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["sweeps", "analysis"])
def test_declarations_never_import_torch(folder):
    for path in (ROOT / folder).glob("*.py"):
        modules = {
            alias.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not {m for m in modules if m and re.match(r"(torch|timm|tgdp\.(model|training))", m)}


def test_only_the_tracker_imports_mlflow():
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if re.search(r"^\s*(import|from) mlflow\b", path.read_text(), re.MULTILINE)
    }
    assert importers
    assert all(name.startswith("tgdp/sweep/track") for name in importers), importers
