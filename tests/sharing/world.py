"""The command with the real CLI behind it, offline, for programs that are no tests."""

from __future__ import annotations

import os
from pathlib import Path

from testkit.command import Cpr, console_script
from testkit.repository import GIT_ENVIRONMENT

from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.store.programs import find_claude


def offline_cpr(folder: Path, api: ScriptedApi) -> Cpr:
    """The command in an empty folder, with a home of its own and the scripted API."""
    home, work = folder / "home", folder / "work"
    for path in (home, work):
        path.mkdir()
    os.environ["CPR_STATE_DIR"] = str(home / ".local" / "state" / "cpr")
    tools = f"{Path(console_script()).parent}{os.pathsep}/usr/local/bin{os.pathsep}{os.defpath}"
    env = cli_environment(api.url, home, path=tools) | GIT_ENVIRONMENT
    return Cpr(work, {**env, "CPR_CLAUDE": find_claude(None, os.environ)})
