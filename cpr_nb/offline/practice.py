"""A place to practise in: the real CLI, a scripted API, a folder of its own, no account.

For notebooks and first steps. Everything that this process starts from then on is answered by the
script and by nobody else.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

_begun: tuple[Mapping[str, Any], Path] | None = None
_AUTHOR = {"NAME": "Practice", "EMAIL": "practice@example.com"}


def begin(
    script: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
    *,
    repository: bool = False,
) -> Path:
    """Makes this process practise: its environment, its current folder, who answers.

    The environment is replaced by one that is built from nothing: no login of yours is in it.
    Folder and API end with the process. To begin the same once more goes on in the same folder.

    Args:
        script: What the API plays, see `cpr_nb.offline.scripted_api`.
        files: Files of the folder: path → text.
        repository: Whether the folder is a git repository in which they are committed.

    Returns:
        The folder, which is the current one now.

    Example:
        >>> begin({"default": [{"text": "Hello."}]}, {"a.py": "x = 1"})  # doctest: +SKIP
    """
    global _begun
    if _begun is not None and _begun[0] == script:
        os.chdir(_begun[1])
        return _begun[1]
    home = Path(tempfile.mkdtemp(prefix="cpr-practice-"))
    api = ScriptedApi(script)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    atexit.register(api.close)
    folder = home / "shop"
    folder.mkdir()
    _begun = script, folder
    environ = cli_environment(api.url, home, path=os.environ.get("PATH"))
    environ["GIT_PAGER"] = "cat"  # a pager would wait for a key
    for role in ("AUTHOR", "COMMITTER"):
        environ |= {f"GIT_{role}_{what}": value for what, value in _AUTHOR.items()}
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if repository:
        (folder / ".gitignore").write_text("results/\n", encoding="utf-8")
        for words in ("init -q -b main", "add .", "commit -q -m begin"):
            subprocess.run(["git", *words.split()], cwd=folder, check=True)  # noqa: S603, S607
    return folder
