"""Every option of a session and of a task, declared once as data.

The library's keywords, the command's flags, the keys of a prompts file, the columns of a
``.csv``, ``[tool.cpr]`` and the documentation all come from `OPTIONS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cpr_nb.model.errors import InputError, UnknownOption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PERMISSIONS = ("read", "edits", "sandbox", "all")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
#: The largest schema or check: it is passed in one argument, which Linux limits to 128 KiB.
MAX_SCHEMA_BYTES = 100_000

# Flags of the CLI that the runner sets itself.
_OWN_FLAGS = [
    "-p",
    "--print",
    "--output-format",
    "--input-format",
    "--verbose",
    "--session-id",
    "-r",
    "--resume",
    "-c",
    "--continue",
    "--json-schema",
    "--permission-mode",
    "--dangerously-skip-permissions",
    "--max-turns",
    "--bg",
    "--background",
    "--max-budget-usd",
    "-w",
    "--worktree",
    "--tmux",
    "-h",
    "--help",
    "-v",
    "--version",
    "--no-session-persistence",
    "--replay-user-messages",
    "--cloud",
    "--teleport",
]


class Option:
    """One option.

    Args:
        name: The keyword; the flag is the same name with dashes.
        kind: text, choice, count, seconds, usd, flag, command, rules, arguments, env, schema,
            folder.
        help: One line for a person.
        per_task: Whether a single task may have its own.
        choices: The words of a ``choice``.
        minimum: The smallest ``count``.
        metavar: What the help calls the value.
    """

    __slots__ = ("choices", "help", "kind", "metavar", "minimum", "name", "per_task")

    def __init__(
        self,
        name: str,
        kind: str,
        help: str,
        *,
        per_task: bool = True,
        choices: Sequence[str] = (),
        minimum: int = 1,
        metavar: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.help = help
        self.per_task = per_task
        self.choices = tuple(choices)
        self.minimum = minimum
        self.metavar = metavar

    @property
    def flag(self) -> str:
        """The command's flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def is_list(self) -> bool:
        """Whether the flag may be repeated."""
        return self.kind in ("rules", "arguments", "env")


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option(
            "max_parallel",
            "count",
            "how many tasks run at once; 0 for no limit (default: by free memory and cores)",
            per_task=False,
            minimum=0,
            metavar="N",
        ),
        Option("name", "text", "a name for the session", per_task=False, metavar="NAME"),
        Option("model", "text", "the model: an alias (opus, sonnet) or a full name"),
        Option("effort", "choice", "how hard the model thinks", choices=EFFORTS),
        Option(
            "permissions",
            "choice",
            "what an agent may do without asking: read, edits (default), sandbox, all",
            choices=PERMISSIONS,
        ),
        Option("allow", "rules", "also allow this tool, such as 'Bash(pytest:*)'", metavar="RULE"),
        Option("deny", "rules", "never allow this tool", metavar="RULE"),
        Option("cwd", "folder", "the folder that agents work in (default: the current one)"),
        Option(
            "worktree",
            "flag",
            "give each task a git worktree and a branch of its own",
        ),
        Option("base", "text", "where the branches begin (default: HEAD)", metavar="REV"),
        Option(
            "worktree_dir",
            "folder",
            "the folder for the worktrees (default: REPOSITORY-worktrees, beside the repository)",
            per_task=False,
        ),
        Option(
            "setup",
            "command",
            "a shell command that prepares a worktree before its agent starts; CPR_BRANCH and a "
            "free CPR_PORT are set",
            metavar="COMMAND",
        ),
        Option(
            "setup_timeout_s",
            "seconds",
            "end the setup command after this many seconds (default: 600)",
        ),
        Option("keep_worktrees", "flag", "keep each worktree after its task has ended"),
        Option("schema", "schema", "a JSON schema for the answer: a file, or the JSON itself"),
        Option("max_turns", "count", "end a task after N turns of the agent", metavar="N"),
        Option("timeout_s", "seconds", "end a task after this many seconds (default: never)"),
        Option(
            "silence_s",
            "seconds",
            "end a task that writes no event and runs no tool for this many seconds",
        ),
        Option(
            "attempts",
            "count",
            "how many attempts a task has in all; it gets another one after a failure for a "
            "passing reason: rate limit, overload, network, silence, a crash, a missing structure "
            "(default: 2)",
            metavar="N",
        ),
        Option(
            "first_byte_s",
            "seconds",
            "end a task that has written nothing at all after this many seconds (default: 600)",
        ),
        Option(
            "check",
            "command",
            "a shell command that runs in the task's folder after its success, such as "
            "'pytest -q'; if it fails, the task counts as failed",
            metavar="COMMAND",
        ),
        Option(
            "check_timeout_s", "seconds", "end the check after this many seconds (default: 600)"
        ),
        Option(
            "fail_on_denied", "flag", "count a task as failed if one of its tool calls was denied"
        ),
        Option(
            "warm_start",
            "flag",
            "let one of the tasks that begin alike lead until its first answer, so that the "
            "others read the prompt cache instead of each paying to write it",
            per_task=False,
        ),
        Option(
            "task_budget_usd",
            "usd",
            "end a task once it has cost more than this, by the CLI's estimate",
        ),
        Option(
            "budget_usd",
            "usd",
            "start no more tasks once the session has cost more than this, by the CLI's estimate",
            per_task=False,
        ),
        Option("env", "env", "set a variable for the agents; its value is never stored"),
        Option(
            "claude_args",
            "arguments",
            "pass one more argument to the CLI, unchanged",
            metavar="ARG",
        ),
    )
}


def check_options(
    given: Mapping[str, Any], where: str = "", *, per_task: bool = False
) -> dict[str, Any]:
    """Checks options and converts their values to one form.

    Args:
        given: Option name → value; None means that the option is not set.
        where: The name of the element in an error.
        per_task: Whether these are one task's own options.

    Returns:
        The options that are set, checked.

    Raises:
        UnknownOption: For a name that is no option, or no option of a task.
        InputError: For a value that is not valid.

    Example:
        >>> check_options({"timeout_s": 60, "model": None})
        {'timeout_s': 60.0}
    """
    checked = {}
    for name, value in given.items():
        option = OPTIONS.get(name)
        if option is None or (per_task and not option.per_task):
            if option is not None:
                raise InputError(f"{name!r} is an option of the session, not of a task", where)
            raise unknown_option(name, where, per_task=per_task)
        if value is not None:
            label = f"{where}.{name}" if where else name
            checked[name] = _CHECKS[option.kind](option, value, label)
    return checked


def unknown_option(name: str, where: str, *, per_task: bool) -> UnknownOption:
    """Makes the error for a name that is no option, with the most similar options."""
    import difflib

    valid = [o.name for o in OPTIONS.values() if o.per_task or not per_task]
    valid += ["id", "prompt"] if per_task else []
    return UnknownOption(name, difflib.get_close_matches(name, valid, n=2), where)


def from_text(option: Option, text: str, where: str) -> Any:
    """Reads an option's value from text: the value of a flag, or the cell of a table.

    Example:
        >>> from_text(OPTIONS["max_turns"], "3", "--max-turns")
        3
    """
    if option.kind == "flag":
        return _flag(option, text, where)
    if option.kind in ("count", "seconds", "usd"):
        try:
            return int(text) if option.kind == "count" else float(text)
        except ValueError:
            kind = "a whole number" if option.kind == "count" else "a number"
            raise InputError(f"must be {kind}, not {text!r}", where) from None
    if option.kind == "schema" or (option.is_list and text.lstrip()[:1] in ("[", "{")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"is not JSON: {error}", where) from None
    return [text] if option.is_list else text


# -- one check per kind -----------------------------------------------------------------------


def _text(option: Option, value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"must be a text that is not empty, not {value!r}", where)
    if not value.isprintable() or len(value) > 4096 or value.startswith("-"):
        raise InputError("has control characters, begins with '-' or is too long", where)
    return value


def _command(option: Option, value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or not _can_be_passed(value):
        raise InputError(f"must be a shell command, not {value!r}", where)
    if len(value.encode()) > MAX_SCHEMA_BYTES:
        raise InputError(f"is larger than {MAX_SCHEMA_BYTES} bytes", where)
    return value


def _choice(option: Option, value: Any, where: str) -> str:
    if value not in option.choices:
        raise InputError(f"must be one of {', '.join(option.choices)}, not {value!r}", where)
    return str(value)


def _count(option: Option, value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < option.minimum:
        raise InputError(f"must be a whole number from {option.minimum}, not {value!r}", where)
    return int(value)


def _flag(option: Option, value: Any, where: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    known = words.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise InputError(f"must be true or false, not {value!r}", where)
    return known


def _positive(option: Option, value: Any, where: str) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not 0 < value <= 1e12:
        unit = "seconds" if option.kind == "seconds" else "US dollars"
        raise InputError(f"must be a number of {unit} above 0, not {value!r}", where)
    return float(value)


def _texts(option: Option, value: Any, where: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(v, str) for v in values):
        raise InputError(f"must be a list of texts, not {value!r}", where)
    for text in values:
        if not _can_be_passed(text) or (option.kind == "rules" and not text.strip()):
            raise InputError(
                f"has an element that is empty or can't be an argument: {text!r}", where
            )
        flag = text.split("=", 1)[0]
        if option.kind == "arguments" and flag in _OWN_FLAGS:
            raise InputError(f"{flag} is set by cpr itself and can't be passed", where)
    return list(values)


def _env(option: Option, value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InputError(f"must be a mapping of names to values, not {value!r}", where)
    for name, text in value.items():
        if not isinstance(name, str) or not name or "=" in name or not _can_be_passed(name):
            raise InputError(f"{name!r} can't be the name of an environment variable", where)
        if not isinstance(text, str) or not _can_be_passed(text):
            raise InputError(f"the value of {name} must be a text, without NUL", where)
    return dict(value)


def _can_be_passed(text: str) -> bool:
    """Whether a text can be an argument or an environment variable of a process."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _schema(option: Option, value: Any, where: str) -> dict[str, Any]:
    from cpr_nb.model.schemas.answer import read_schema

    return read_schema(value, where)


def _folder(option: Option, value: Any, where: str) -> str:
    import os

    if not isinstance(value, str | os.PathLike) or not str(value) or "\0" in str(value):
        raise InputError(f"must be a folder, not {value!r}", where)
    return str(value)


_CHECKS = {
    "text": _text,
    "command": _command,
    "choice": _choice,
    "count": _count,
    "seconds": _positive,
    "usd": _positive,
    "flag": _flag,
    "rules": _texts,
    "arguments": _texts,
    "env": _env,
    "schema": _schema,
    "folder": _folder,
}
