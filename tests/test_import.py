"""What `import cpr_nb` gives, and what it does not load."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cpr_nb as cpr

HEAVY = ["pandas", "numpy", "IPython", "ipywidgets", "git", "msgspec", "rich", "jinja2", "asyncio"]


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh Python has after some code."""
    program = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_import_loads_nothing_heavy() -> None:
    new = loaded_by("import cpr_nb") - loaded_by("")
    assert {name for name in new if name.startswith("cpr_nb")} == {"cpr_nb"}
    assert not new & {*HEAVY, "typing", "subprocess", "importlib.metadata"}


def test_the_library_loads_nothing_heavy() -> None:
    new = loaded_by("import cpr_nb as cpr; cpr.launch, cpr.attach, cpr.Session, cpr.Task")
    assert not {name.partition(".")[0] for name in new} & {*HEAVY, "argparse", "argcomplete"}


def test_the_quick_commands_load_nothing_heavy() -> None:
    new = loaded_by("from cpr_nb.cli.main import main; main(['list', '--results-dir', '/none'])")
    assert not {name.partition(".")[0] for name in new} & {*HEAVY, "argcomplete", "tomllib"}


def test_every_exported_name_is_there_and_documented() -> None:
    assert len(set(cpr.__all__)) == len(cpr.__all__)
    assert dir(cpr) == sorted(cpr.__all__)
    for name in cpr.__all__:
        value = getattr(cpr, name)
        if name != "__version__":
            assert inspect.getdoc(value), name
            assert value.__module__ == "cpr_nb", f"{name} lacks the decorator `public`"
            assert pickle.loads(pickle.dumps(value)) is value


def test_a_traceback_names_an_error_as_users_import_it() -> None:
    code = "import cpr_nb as cpr; cpr.attach('nowhere', results_dir='/none')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.splitlines()[-1].startswith("cpr_nb.SessionNotFound: ")


def test_star_imports_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from cpr_nb import *", names)
    assert set(names) - {"__builtins__"} == set(cpr.__all__)


def test_a_package_in_a_zip_file_has_its_public_names(tmp_path: Path) -> None:
    package, packed = Path(cpr.__file__).parent, tmp_path / "packages.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, file.relative_to(package.parent))
    code = f"import sys; sys.path.insert(0, {str(packed)!r}); import cpr_nb\n"
    code += "print(cpr_nb.__file__, cpr_nb.Session.__name__, len(cpr_nb.__all__))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"{packed}/cpr_nb/__init__.py Session {len(cpr.__all__)}\n"


def test_exactly_these_names_are_exported() -> None:
    errors = "AmbiguousSession AnswerError ClaudeNotFound CprError ForeignSession InputError "
    errors += (
        "LaunchError NotTrusted ResultsDirError SessionError SessionInterrupted SessionNotFound "
    )
    errors += "SessionNotUsable StateDirError StatsMissing TaskCancelled TaskError TaskFailed "
    errors += (
        "TaskLost TaskNotFound TaskSkipped TaskTimedOut UnknownOption WaitTimeout WorktreeError"
    )
    others = "Session Task attach dashboard import_sessions launch map trust __version__"
    tables = "denials_df events_df forecasts_df sessions_df tasks_df tool_calls_df usage_df"
    tables += " Transcripts transcripts transcripts_df usage_chart"
    assert set(cpr.__all__) == {*errors.split(), *others.split(), *tables.split()}
    for name in errors.split():
        assert issubclass(getattr(cpr, name), cpr.CprError)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'cpr_nb' has no attribute 'lunch'"):
        _ = cpr.lunch
