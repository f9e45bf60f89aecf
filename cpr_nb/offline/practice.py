"""A place to practise in: the real CLI, a scripted API, a folder of its own, no account.

For notebooks and first steps. Everything that this process starts from then on is answered by the
script and by nobody else.
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
    """Makes this process practise: its environment, its current folder, who answers.

    The environment is replaced by one that is built from nothing: no login of yours is in it.
    Folder and API end with the process. To begin the same once more goes on in the same folder.

    Args:
        lesson: The name of a file in `cpr_nb/offline/lessons`, or what such a file holds: the
            ``script`` that the API plays (see `cpr_nb.offline.scripted_api`), ``files`` of the
            folder (path → text), and whether it is a git ``repository`` that has them.

    Returns:
        The folder, which is the current one now.

    Raises:
        InputError: If there is no such lesson.

    Example:
        >>> begin("cooking")
        Traceback (most recent call last):
        ...
        cpr_nb.model.errors.InputError: practice: there is no lesson 'cooking'; there are \
map-a-dataframe, quickstart, what-ran, worktrees-and-merging
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
    environ = cli_environment(api.url, home, path=os.environ.get("PATH"))
    environ["GIT_PAGER"] = "cat"  # a pager would wait for a key
    for role in ("AUTHOR", "COMMITTER"):
        environ |= {f"GIT_{role}_{what}": value for what, value in _AUTHOR.items()}
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    for name, text in lesson.get("files", {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if lesson.get("repository"):
        (folder / ".gitignore").write_text("results/\n", encoding="utf-8")
        for words in ("init -q -b main", "add .", "commit -q -m begin"):
            subprocess.run(["git", *words.split()], cwd=folder, check=True)  # noqa: S603, S607
    _begun = lesson, folder
    return folder


def _read(name: str) -> dict[str, Any]:
    lessons = Path(__file__).with_name("lessons")
    known = sorted(path.stem for path in lessons.glob("*.json"))
    if name not in known:
        raise InputError(f"there is no lesson {name!r}; there are {', '.join(known)}", "practice")
    found: dict[str, Any] = json.loads((lessons / f"{name}.json").read_text(encoding="utf-8"))
    return found
