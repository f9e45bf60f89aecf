"""The one argparse definition of the command's options."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable

from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import parse_text
from cpr_nb.model.options import OPTIONS, Option
from cpr_nb.model.text import visible_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class CprParser(argparse.ArgumentParser):
    """A parser whose errors are one line and suggest the option that was meant."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("allow_abbrev", False)
        settings.setdefault("formatter_class", _formatter)
        super().__init__(**settings)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses the arguments; raises InputError for unknown ones."""
        namespace, unknown = self.parse_known_args(args, namespace)
        if unknown:
            import difflib

            flags = [flag for action in self._actions for flag in action.option_strings]
            flag = unknown[0].split("=", 1)[0]
            near = difflib.get_close_matches(flag, flags, n=2, cutoff=0.7)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            kind = "option" if unknown[0].startswith("-") else "argument"
            raise InputError(f"unknown {kind} {unknown[0]!r}{hint} (see {self.prog} --help)")
        return namespace

    def format_help(self) -> str:
        """Returns the help, which ends with the examples of the sub-command."""
        if not self.epilog:
            from cpr_nb.cli.help import examples_text

            self.epilog = examples_text(self.prog.rpartition(" ")[2])
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raises InputError instead of printing the usage and exiting."""
        raise InputError(f"{message} (see {self.prog} --help)")


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Formats as wide as the terminal; argparse would load shutil even without --help."""
    try:
        columns = os.get_terminal_size().columns
    except (OSError, ValueError, AttributeError):
        columns = 100
    return argparse.RawDescriptionHelpFormatter(prog, width=min(columns, 110) - 2)


def command_parser(name: str, line: str, children: Any = None) -> argparse.ArgumentParser:
    """Makes the parser of one sub-command, with the options that all of them have.

    Args:
        name: The sub-command.
        line: What it does.
        children: The sub-parsers object to add it to, if any.
    """
    if children is None:
        parser: argparse.ArgumentParser = CprParser(prog=f"cpr {name}", description=line)
    else:
        parser = children.add_parser(name, help=line, description=line)
    parser.add_argument(
        "--results-dir",
        metavar="DIR",
        help="the results directory (default: CPR_RESULTS_DIR, [tool.cpr] or the nearest results/)",
    )
    return parser


def add_session(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Adds the argument that names a session."""
    action = parser.add_argument(
        "session",
        metavar="SESSION",
        nargs="?" if optional else None,
        help="its id, the first characters of its id, or its name"
        + (" (default: the newest, a live one first)" if optional else ""),
    )
    action.completer = complete_session  # type: ignore[attr-defined]  # argcomplete's way


def add_branches(parser: argparse.ArgumentParser) -> None:
    """Adds ``--task``, which chooses the branches of tasks."""
    parser.add_argument(
        "--task",
        metavar="TASK",
        action="append",
        help="only this task's branch, by number or id; may be repeated (default: the branches of "
        "all tasks that succeeded; of a session with best_of, those of the winners)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_launch_options(parser: argparse.ArgumentParser) -> None:
    """Adds every option of sessions and tasks, from their declaration."""
    parser.add_argument("--claude-path", metavar="PATH", help="the Claude Code CLI to run")
    for option in OPTIONS.values():
        flags = ["-j", option.flag] if option.name == "max_parallel" else [option.flag]
        help_text = option.help.replace("%", "%%")  # argparse fills in what follows a single one
        settings: dict[str, Any] = {"help": help_text, "dest": option.name}
        if option.kind == "flag":
            settings |= {"action": "store_const", "const": "true"}
        elif option.choices:
            settings["choices"] = option.choices
        else:
            settings["metavar"] = option.metavar or _METAVARS.get(option.kind, "VALUE")
        if option.is_list:
            settings["action"] = "append"
        parser.add_argument(*flags, **settings)
    parser.add_argument(
        "--dangerously-skip-permissions",
        dest="permissions",
        action="store_const",
        const="all",
        help="the same as --permissions all",
    )


_METAVARS = {
    "seconds": "SECONDS",
    "usd": "USD",
    "folder": "DIR",
    "folders": "DIR",
    "schema": "FILE|JSON|FIELDS",
    "agents": "FILE|JSON",
    "mcp_servers": "FILE|JSON",
    "settings": "FILE|JSON",
    "env": "NAME[=VALUE]",
}


def launch_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the options of `cpr_nb.launch` that the command line sets.

    Raises:
        InputError: If the text of an option can't be read.
    """
    options: dict[str, Any] = {}
    for option in OPTIONS.values():
        value = getattr(args, option.name)
        if value is not None:
            read = _READERS.get(option.kind, _read_text)
            options[option.name] = read(option, value)
    for name in ("results_dir", "claude_path"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    return options


def _read_text(option: Option, value: Any) -> Any:
    return parse_text(option, value, option.flag)


def _read_list(option: Option, values: list[str]) -> list[str]:
    return values


def _read_tools(option: Option, values: list[str]) -> list[str]:
    return [name for value in values for name in parse_text(option, value, option.flag)]


def _read_env(option: Option, values: list[str]) -> dict[str, str]:
    return read_env(values, option.flag)


def read_env(pairs: list[str], flag: str) -> dict[str, str]:
    """Reads variables: ``NAME=VALUE``, or ``NAME`` for its value in this environment.

    Raises:
        InputError: If a name has no value in this environment.
    """
    env = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            if name not in os.environ:
                raise InputError(f"{name} is not set here: pass {name}=VALUE", flag)
            value = os.environ[name]
        env[name] = value
    return env


def _read_schema(option: Option, value: str) -> Any:
    if value.lstrip().startswith("{"):
        return parse_text(option, value, option.flag)
    from cpr_nb.cli.schema_fields import is_fields, schema_of_fields

    if is_fields(value) and not os.path.exists(value):
        return schema_of_fields(value, option.flag)
    from pathlib import Path

    try:
        text = Path(value).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't read {value}: {reason}", option.flag) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{value} is not JSON: {error}", option.flag) from None


_READERS: dict[str, Callable[[Option, Any], Any]] = {
    "rules": _read_list,
    "tools": _read_tools,
    "arguments": _read_list,
    "folders": _read_list,
    "env": _read_env,
    "schema": _read_schema,
}


def complete_session(prefix: str, parsed_args: Any, **_: Any) -> list[str]:
    """Returns ids and names of sessions for shell completion; never raises."""
    from cpr_nb.store import catalog

    try:
        directory = catalog.results_dir(getattr(parsed_args, "results_dir", None), os.environ)
        sessions = catalog.list_sessions(directory)
    except Exception:
        return []
    words = [s.session_id for s in sessions] + [str(s.head.get("name") or "") for s in sessions]
    # The shell prints what it offers, and nobody could type what is shown by its code.
    words = [word for word in words if word and visible_line(word) == word]
    return [word for word in words if word.startswith(prefix)]


def complete_task(prefix: str, parsed_args: Any, **_: Any) -> list[str]:
    """Returns ids of a session's tasks for shell completion; never raises."""
    from cpr_nb.store import catalog
    from cpr_nb.store.read import read_session

    try:
        directory = catalog.results_dir(getattr(parsed_args, "results_dir", None), os.environ)
        tasks = read_session(catalog.find_session(directory, parsed_args.session)).tasks
    except Exception:
        return []
    words = [str(task.get("transaction_id") or "") for task in tasks or ()]
    return [word for word in words if word.startswith(prefix) and visible_line(word) == word]
