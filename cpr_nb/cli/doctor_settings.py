"""What ``cpr doctor`` says about settings: which file each comes from, and what is not used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cpr_nb.launching.claude_files import find_project, is_accepted, summary
from cpr_nb.launching.repository_trust import Repository
from cpr_nb.launching.settings import (
    VARIABLES,
    read_repository_settings,
    read_user_settings,
)
from cpr_nb.model.errors import CprError
from cpr_nb.model.text import one_line
from cpr_nb.store.state_dir import config_file

#: Whether it is good, and the words for a person.
Finding = tuple[bool, str]


def setting_findings() -> Iterator[Finding]:
    """What each source of settings says for a launch in this folder, the strongest first."""
    for name, variable in VARIABLES.items():
        if os.environ.get(variable):
            yield True, f"{variable}: {name} = {os.environ[variable]!r}"
    try:
        path, table = read_repository_settings(str(Path.cwd()))
        own = read_user_settings()
        repository = Repository(str(Path.cwd()), os.environ)
        trusts = repository.is_trusted
    except CprError as error:
        yield False, one_line(str(error))
        return
    unused = {} if trusts else repository.claims
    used = {name: value for name, value in table.items() if name not in unused}
    if used:
        yield True, f"{path} [tool.cpr]: {_shown(used)}"
    if unused:
        yield True, f"🔒 {path} [tool.cpr]: {_shown(unused)}: needs your trust (cpr trust)"
    if own:
        yield True, f"{config_file()}: {_shown(own)}"


def claude_findings() -> Iterator[Finding]:
    """What becomes of the files that the repository brings for Claude Code."""
    cwd = str(Path.cwd())
    repository = Repository(cwd, os.environ)
    if not repository.files:
        return
    project, what = find_project(cwd), summary(repository.files)
    if is_accepted(project, os.environ):
        yield True, f"{what} of {project.top}: used, for you have accepted it in Claude Code"
    elif repository.is_trusted:
        yield True, f"{what} of {project.top}: used, for you trust it"
    else:
        yield True, f"🔒 {what} of {project.top}: not used until you trust it (cpr trust)"


def _shown(settings: Mapping[str, Any]) -> str:
    """Settings in a line; of variables only the names."""
    texts = []
    for name, value in settings.items():
        shown = sorted(value) if name == "env" else value
        texts.append(one_line(f"{name} = {shown!r}", 120))
    return ", ".join(texts)
