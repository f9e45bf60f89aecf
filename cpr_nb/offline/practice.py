"""Practice without an account: the real CLI, a scripted API, a folder of its own.

For notebooks and first steps. After `begin`, the script alone answers everything that this process
starts.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr_nb.model.errors import InputError
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

_begun: tuple[Mapping[str, Any], Path] | None = None
_AUTHOR = {"NAME": "Practice", "EMAIL": "practice@example.com"}


def begin(lesson: str | Mapping[str, Any]) -> Path:
    """Prepares this process for practice: its environment, its current folder, the API.

    The environment is replaced by one that is built from nothing: it contains no login of yours.
    Folder and API end with the process. Beginning the same lesson again continues in its folder.

    Args:
        lesson: The name of a file in `cpr_nb/offline/lessons`, or the content of such a file: the
            ``script`` that the API plays (see `cpr_nb.offline.scripted_api`), ``files`` of the
            folder (path → text), and whether it is a git ``repository`` that has them.

    Returns:
        The folder, which is the current one now.

    Raises:
        InputError: If the lesson does not exist.

    Example:
        >>> begin("cooking")
        Traceback (most recent call last):
        ...
        cpr_nb.InputError: practice: there is no lesson 'cooking'; there are \
decisions, insight, many-machines, map-a-dataframe, quickstart, what-ran, worktrees-and-merging
    """
    global _begun
    if isinstance(lesson, str):
        lesson = _read(lesson)
    if _begun is not None and _begun[0] == lesson:
        os.chdir(_begun[1])
        return _begun[1]
    home = Path(tempfile.mkdtemp(prefix="cpr-practice-"))
    api = ScriptedApi(lesson["script"])
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    atexit.register(api.close)
    folder = home / "shop"
    folder.mkdir()
    _replace_environment(api.url, home)
    os.chdir(folder)
    _write_files(folder, lesson)
    _begun = lesson, folder
    return folder


def _replace_environment(api_url: str, home: Path) -> None:
    environ = cli_environment(api_url, home, path=os.environ.get("PATH"))
    environ["GIT_PAGER"] = "cat"  # a pager would wait for a key
    for role in ("AUTHOR", "COMMITTER"):
        environ |= {f"GIT_{role}_{field}": value for field, value in _AUTHOR.items()}
    os.environ.clear()
    os.environ.update(environ)


def _write_files(folder: Path, lesson: Mapping[str, Any]) -> None:
    for name, text in lesson.get("files", {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if lesson.get("repository"):
        (folder / ".gitignore").write_text("results/\n", encoding="utf-8")
        for words in ("init -q -b main", "add .", "commit -q -m begin"):
            subprocess.run(["git", *words.split()], cwd=folder, check=True)  # noqa: S603, S607


def _read(name: str) -> dict[str, Any]:
    lessons = Path(__file__).with_name("lessons")
    names = sorted(path.stem for path in lessons.glob("*.json"))
    if name not in names:
        raise InputError(f"there is no lesson {name!r}; there are {', '.join(names)}", "practice")
    lesson: dict[str, Any] = json.loads((lessons / f"{name}.json").read_text(encoding="utf-8"))
    return lesson
