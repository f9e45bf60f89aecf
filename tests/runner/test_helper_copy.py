"""The copy that helpers run: whatever happens to the installed package, it is there, and whole."""

from __future__ import annotations

import ast
import json
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cpr_nb
from cpr_nb.runner import helper_copy
from cpr_nb.runner.helper_copy import HelperCopy


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that is installed, and may be replaced."""
    package = tmp_path / "installed" / "cpr_nb"
    package.mkdir(parents=True)
    real = Path(cpr_nb.__file__).parent
    shutil.copy2(real / "__init__.py", package)
    for name in ("model", "store", "worktrees"):
        shutil.copytree(real / name, package / name)
    monkeypatch.setattr(helper_copy, "_PACKAGE", str(package))
    return package


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[], HelperCopy]]:
    """Starts to use a copy, as a runner does; it ends with the test."""
    held = list[HelperCopy]()

    def new() -> HelperCopy:
        copy = HelperCopy(str(tmp_path / "state"), site.getsitepackages())
        copy.hold()
        held.append(copy)
        return copy

    yield new
    for copy in held:
        end(copy)


def end(copy: HelperCopy) -> None:
    """What the end of its runner does."""
    if copy._lock_fd >= 0:
        os.close(copy._lock_fd)
        copy._lock_fd = -1


def copies(tmp_path: Path) -> list[str]:
    return sorted(str(path) for path in (tmp_path / "state" / "helpers").iterdir())


def answer(copy: HelperCopy) -> dict[str, object]:
    done = subprocess.run(copy.argv("harvest"), input=b"{}", capture_output=True, check=True)
    reply: dict[str, object] = json.loads(done.stdout)
    return reply


def upgrade(installed: Path) -> None:
    with (installed / "worktrees" / "job.py").open("a") as file:
        file.write("\nraise SystemExit('another version')\n")


def test_helpers_run_after_the_package_is_gone(
    tmp_path: Path, installed: Path, hold: Callable[[], HelperCopy]
) -> None:
    copy = hold()
    shutil.rmtree(installed)
    assert answer(copy)["error"] == "'session_folder' is missing"


def test_runners_of_one_version_share_one_file(
    tmp_path: Path, installed: Path, hold: Callable[[], HelperCopy]
) -> None:
    one, two = hold(), hold()
    assert copies(tmp_path) == [one.path] == [two.path]


def test_an_upgrade_gets_a_copy_of_its_own_and_the_old_one_stays_for_its_runner(
    tmp_path: Path, installed: Path, hold: Callable[[], HelperCopy]
) -> None:
    old = hold()
    upgrade(installed)
    new = hold()
    assert old.path != new.path and copies(tmp_path) == sorted([old.path, new.path])
    assert answer(old)["error"] == "'session_folder' is missing"


def test_a_copy_that_no_runner_uses_goes_when_another_is_made(
    tmp_path: Path, installed: Path, hold: Callable[[], HelperCopy]
) -> None:
    end(hold())
    (tmp_path / "state" / "helpers" / "killed.tmp").touch()
    assert len(copies(tmp_path)) == 2
    upgrade(installed)
    newer = hold()
    assert copies(tmp_path) == [newer.path]


def test_a_package_that_is_half_there_is_not_copied(
    tmp_path: Path,
    installed: Path,
    hold: Callable[[], HelperCopy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = helper_copy._compiled

    def replaced_meanwhile(path: str) -> bytes:
        if path.endswith("worktrees/job.py"):
            upgrade(installed)
        return compiled(path)

    monkeypatch.setattr(helper_copy, "_compiled", replaced_meanwhile)
    copy = hold()
    assert copy.path == "" and copies(tmp_path) == []
    assert copy.argv("harvest") == [sys.executable, "-I", "-m", "cpr_nb.worktrees", "harvest"]


def test_a_file_that_python_has_not_compiled_is_compiled(
    tmp_path: Path, installed: Path, hold: Callable[[], HelperCopy]
) -> None:
    for folder in list(installed.rglob("__pycache__")):
        shutil.rmtree(folder)
    copy = hold()
    assert answer(copy)["error"] == "'session_folder' is missing"
    assert not list(installed.rglob("__pycache__")), "the installed files stay as they are"


RULES = Path(__file__).parents[2] / "cpr_nb" / "runner" / "rules"
#: A runner loads these at its start, too, if its session asks, shares processes or has rules.
OF_SOME_SESSIONS = (
    "cpr_nb.model.sharing",
    "cpr_nb.runner.asking",
    "cpr_nb.runner.graded_material",
    "cpr_nb.runner.notifying",
    "cpr_nb.runner.own_programs",
    "cpr_nb.runner.remote.leasing",
    "cpr_nb.runner.remote.node_events",
    "cpr_nb.runner.shared.pool",
    "cpr_nb.runner.shared.recovered",
    *(f"cpr_nb.runner.rules.{path.stem}" for path in RULES.glob("[a-z]*.py")),
)


def test_a_runner_loads_all_of_its_own_modules_at_its_start() -> None:
    words = (
        "import sys; sys.path.append(sys.argv[1]); import cpr_nb.runner.bootstrap\n"
        f"import {', '.join(OF_SOME_SESSIONS)}\n"
        "names = [n for n in sys.modules if n.startswith('cpr_nb.')]\n"
        "print(*(f'{name}={sys.modules[name].__file__}' for name in names))"
    )
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-I", "-S", "-c", words, str(root)]
    loaded = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    files = dict(entry.split("=", 1) for entry in loaded)
    assert len(files) > 20
    late = [
        f"{file}:{node.lineno}"
        for file in files.values()
        for function in ast.walk(ast.parse(Path(file).read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        for name in _imported(node)
        if name.startswith("cpr_nb") and name not in files
    ]
    assert not late, f"an upgrade would mix versions: {late}"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
