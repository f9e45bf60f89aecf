"""The skill that teaches Claude Code to use cpr: its text, where it goes, whether it was edited."""

from __future__ import annotations

import os
import tempfile

from cpr_nb.model.digest import sha256_for
from cpr_nb.model.errors import InputError

#: The folder of the skill in a folder of skills; also the name by which it is called.
NAME = "cpr"
FILE = "SKILL.md"
_MARK = "<!-- written by cpr skill install; sha256 of what is above: "
_MARK_END = " -->\n"

#: What an installation would do.
NEW, SAME, UPDATE, EDITED = "new", "unchanged", "update", "edited"


def skill_text() -> str:
    """The file as it is written: the skill, and a line that shows whether anybody edited it."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "skill_text.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return f"{text}\n{_MARK}{_sum_of(text)}{_MARK_END}"


def is_edited(text: str) -> bool:
    """Whether a file is not as some version of cpr wrote it.

    Args:
        text: Its content.

    Example:
        >>> is_edited(skill_text()), is_edited("my own skill"), is_edited("x" + skill_text())
        (False, True, True)
    """
    written, mark, rest = text.rpartition(f"\n{_MARK}")
    return not mark or rest != f"{_sum_of(written)}{_MARK_END}"


def skills_folder(project: str | None) -> str:
    """The folder of skills: the user's own, or that of a project.

    Args:
        project: The project's top folder; None for the user's own.

    Raises:
        InputError: If the project's folder leads elsewhere: whoever wrote it could be anybody.
    """
    if project is None:
        own = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.join(
            os.path.expanduser("~"), ".claude"
        )
        return os.path.join(os.path.abspath(own), "skills")
    folder = os.path.join(project, ".claude", "skills")
    top = os.path.realpath(project)
    if os.path.realpath(os.path.join(folder, NAME)) != os.path.join(top, ".claude", "skills", NAME):
        raise InputError(
            f"{folder} or {NAME} in it is a symbolic link: nothing is written through it"
        )
    return folder


def what_to_do(path: str) -> str:
    """What writing the skill there would mean: `NEW`, `SAME`, `UPDATE` or `EDITED`.

    Args:
        path: The file.

    Raises:
        InputError: If it can't be read.
    """
    if os.path.islink(path):
        return EDITED
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except FileNotFoundError:
        return NEW
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    if text == skill_text():
        return SAME
    return EDITED if is_edited(text) else UPDATE


def write_skill(path: str) -> None:
    """Writes the skill: beside its place, then renamed, so that nothing half is ever there.

    Args:
        path: The file.

    Raises:
        InputError: If it can't be written.
    """
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as file:
            file.write(skill_text())
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from None


def _sum_of(text: str) -> str:
    return str(sha256_for(len(text))(text.encode()).hexdigest())
