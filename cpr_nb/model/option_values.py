"""Checks the values of options and brings them into one form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cpr_nb.model.errors import InputError, UnknownOption
from cpr_nb.model.options import OPTIONS, Option
from cpr_nb.model.text import visible_line
from cpr_nb.model.tools import is_tool_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The largest value that travels in one argument, which ends at 128 KiB on Linux.
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
# Flags of the CLI that an option sets.
_FLAGS_OF_OPTIONS = {
    "--tools": "tools",
    "--allowedTools": "allow",
    "--allowed-tools": "allow",
    "--disallowedTools": "deny",
    "--disallowed-tools": "deny",
    "--settings": "settings",  # cpr's own are in this flag, and the CLI takes the last one only
}


def check_options(
    options: Mapping[str, Any], where: str = "", *, per_task: bool = False
) -> dict[str, Any]:
    """Checks options and brings their values into one form.

    Args:
        options: Name → value; None means that the option is not set.
        where: What to call the element in an error.
        per_task: Whether these are one task's own options.

    Returns:
        The options that are set, checked.

    Raises:
        UnknownOption: For a name that does not exist, or not for a task.
        InputError: For a value that can't be right.

    Example:
        >>> check_options({"timeout_s": 60, "model": None})
        {'timeout_s': 60.0}
    """
    checked = {}
    for name, value in options.items():
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
    """The error for a name that is no option, with the nearest ones that are."""
    import difflib

    valid = [o.name for o in OPTIONS.values() if o.per_task or not per_task]
    valid += ["id", "prompt"] if per_task else []
    return UnknownOption(name, difflib.get_close_matches(name, valid, n=2), where)


def parse_text(option: Option, text: str, where: str) -> Any:
    """Parses an option's value from text: a flag's value or a table's cell.

    Example:
        >>> parse_text(OPTIONS["max_turns"], "3", "--max-turns")
        3
    """
    if option.kind == "flag":
        return _flag(option, text, where)
    if option.kind == "tools" and text.lstrip()[:1] != "[":
        return split_tools(text)
    if option.kind in ("count", "seconds", "usd", "share"):
        return _parse_number(option, text, where)
    if option.kind == "notice":
        from cpr_nb.model.destinations import check_flag

        return check_flag(text, where)
    is_json = text.lstrip()[:1] in ("[", "{")
    if option.kind == "schema" or (is_json and (option.is_list or option.kind == "system_prompt")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"is not JSON: {error}", where) from None
    return [text] if option.is_list else text


def split_tools(text: str) -> list[str]:
    """The names in a text, which commas separate.

    Example:
        >>> split_tools("Read, Grep"), split_tools("")
        (['Read', 'Grep'], [])
    """
    return [name.strip() for name in text.split(",")] if text.strip() else []


def _parse_number(option: Option, text: str, where: str) -> float:
    try:
        return int(text) if option.kind == "count" else float(text)
    except ValueError:
        kind = "a whole number" if option.kind == "count" else "a number"
        raise InputError(f"must be {kind}, not {text!r}", where) from None


# -- one check per kind -----------------------------------------------------------------------


def _text(option: Option, value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"must be a non-empty text, not {value!r}", where)
    if visible_line(value) != value or len(value) > 4096 or value.startswith("-"):
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
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if option.maximum is not None and not (is_whole and value <= option.maximum):
        span = f"from {option.minimum} to {option.maximum}"
        raise InputError(f"must be a whole number {span}, not {value!r}", where)
    if not is_whole or value < option.minimum:
        raise InputError(f"must be a whole number, at least {option.minimum}, not {value!r}", where)
    return int(value)


def _flag(option: Option, value: Any, where: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    flag = words.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        raise InputError(f"must be true or false, not {value!r}", where)
    return flag


def _positive(option: Option, value: Any, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= 1e12:
        unit = "seconds" if option.kind == "seconds" else "US dollars"
        raise InputError(f"must be a number of {unit} above 0, not {value!r}", where)
    return float(value)


def _share(option: Option, value: Any, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < 1:
        raise InputError(f"must be a share above 0 and below 1, such as 0.3, not {value!r}", where)
    return float(value)


def _moment(option: Option, value: Any, where: str) -> str:
    from cpr_nb.model.moments import next_moment  # few launches wait for a time

    moment = next_moment(value)
    if moment is None:
        raise InputError(
            f"must be a time such as '22:00' or '2026-12-24T22:00', not {value!r}", where
        )
    return moment


def _texts(option: Option, value: Any, where: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(v, str) for v in values):
        raise InputError(f"must be a list of texts, not {value!r}", where)
    for text in values:
        _check_word(option, text, where)
    return list(values)


def _tools(option: Option, value: Any, where: str) -> list[str]:
    names = _texts(option, split_tools(value) if isinstance(value, str) else value, where)
    for name in names:
        if name.startswith("mcp__"):
            raise InputError(f"{name!r} is not a built-in tool: MCP tools belong in allow", where)
        if not is_tool_name(name):
            hint = "rules belong in allow" if "(" in name else "names are like Read or WebFetch"
            raise InputError(f"{name!r} can't be the name of a built-in tool: {hint}", where)
    return names


def _check_word(option: Option, text: str, where: str) -> None:
    """Refuses a text that can't be an argument of the CLI."""
    if not _can_be_passed(text) or (option.kind == "rules" and not text.strip()):
        raise InputError(f"has an element that is empty or can't be an argument: {text!r}", where)
    flag = text.split("=", 1)[0]
    if option.kind == "arguments" and flag in _OWN_FLAGS:
        raise InputError(f"{flag} is set by cpr itself and can't be passed", where)
    if option.kind == "arguments" and flag in _FLAGS_OF_OPTIONS:
        name = _FLAGS_OF_OPTIONS[flag]
        raise InputError(f"{flag} can't be passed: use the option {name!r}", where)


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

    schema = read_schema(value, where)
    if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        raise InputError(f"is larger than {MAX_SCHEMA_BYTES} bytes", where)
    return schema


def _folder(option: Option, value: Any, where: str) -> str:
    import os

    if not isinstance(value, str | os.PathLike) or not str(value) or not _can_be_passed(str(value)):
        raise InputError(f"must be a folder, not {value!r}", where)
    return str(value)


def _folders(option: Option, value: Any, where: str) -> list[str]:
    if isinstance(value, bytes | Mapping) or not isinstance(value, str | Sequence):
        raise InputError(f"must be a list of folders, not {value!r}", where)
    folders = [value] if isinstance(value, str) else value
    return [_folder(option, folder, where) for folder in folders]


def _executor(option: Option, value: Any, where: str) -> Any:
    from cpr_nb.model.engine_spec import check_executor  # a plain launch does without

    return check_executor(value, where)


def _notice(option: Option, value: Any, where: str) -> str:
    from cpr_nb.model.destinations import check_destination

    return check_destination(value, where)


def _configuration(option: Option, value: Any, where: str) -> Any:
    from cpr_nb.model import cli_configuration

    try:
        checked = cli_configuration.CHECKS[option.kind](value, "")
    except InputError as error:  # it names the place inside the value
        raise InputError(str(error), where) from None
    if len(json.dumps(checked)) > MAX_SCHEMA_BYTES:
        raise InputError(f"is larger than {MAX_SCHEMA_BYTES} bytes", where)
    return checked


_CHECKS = {
    "text": _text,
    "command": _command,
    "choice": _choice,
    "count": _count,
    "seconds": _positive,
    "usd": _positive,
    "share": _share,
    "moment": _moment,
    "flag": _flag,
    "tools": _tools,
    "rules": _texts,
    "arguments": _texts,
    "env": _env,
    "schema": _schema,
    "folder": _folder,
    "folders": _folders,
    "executor": _executor,
    "notice": _notice,
    "system_prompt": _configuration,
    "agents": _configuration,
    "mcp_servers": _configuration,
    "settings": _configuration,
}
