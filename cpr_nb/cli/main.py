"""The entry point of ``cpr``: finds the sub-command in either grammar, and runs it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from typing import Any

#: Name → one line for the help. The module of that name in ``commands`` has the rest. It is loaded
#: only when the command is called.
COMMANDS = {
    "run": "start tasks from a file or stdin, detached",
    "map": "run a prompt for each row of a file, and write the table with the answers",
    "status": "show one session, task by task",
    "results": "show what the agents answered",
    "report": "write a session as one static page, to share it",
    "export": "write a session in the format of another tool",
    "import": "read transcripts of Claude Code, and logs of other tools as sessions",
    "list": "list all sessions",
    "overview": "show totals over all sessions",
    "watch": "watch a session live",
    "logs": "show what the agents do, step by step",
    "answer": "show what agents ask, and allow or deny it",
    "cancel": "cancel a session or a task",
    "resume": "continue a session that was interrupted or paused, or that waits for a limit",
    "pause": "start no more tasks of a session until it is resumed",
    "agent": "work for a session as one of its nodes",
    "nodes": "show the nodes that run a session's tasks, or add some",
    "set": "change how many tasks of a session run at once",
    "retry": "rerun the tasks that did not succeed, as a new session",
    "follow-up": "say something more to agents that have ended, as a new session",
    "diff": "show what a task changed, and comment on it",
    "merge": "merge the branches of tasks, one at a time",
    "pr": "open a pull request for each branch of a task",
    "clean": "remove worktrees and merged branches",
    "trust": "show what a foreign session or a repository could run, and trust it",
    "mcp": "serve an MCP client: Claude itself starts sessions and reads their answers",
    "skill": "teach your own Claude Code to hand long or wide work to cpr",
    "doctor": "check this machine",
    "demo": "run five tasks with the real CLI, offline, without an account",
    "completion": "print the shell completion for bash, zsh or fish",
}
# How claude-parallel-runner.pl names its commands.
_LEGACY_FLAGS = {
    "--status": "status",
    "--results": "results",
    "--list": "list",
    "--overview": "overview",
}
_INFO_FLAGS = {"-h": "help", "--help": "help", "-v": "version", "--version": "version"}
# Options that may come before the sub-command. True: a value follows.
_LEADING = {"--results-dir": True, "--json": False, "--verbose": False}

SHORT_HELP = """\
cpr: run many Claude Code tasks in parallel, detached

  cpr prompts.json         start the tasks in {"prompts": ["…", "…"]} and return at once
  cpr watch                watch them work
  cpr results SESSION      read the answers
  cpr demo                 try it offline, without an account

cpr --help shows the commands of a day, cpr help --all the others.
"""

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def console() -> None:
    """The console script."""
    sys.excepthook = _show_bug
    sys.exit(main(sys.argv[1:]))


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: The arguments without the program's name.

    Returns:
        The exit code: 0, 1 (a task did not succeed, doctor found something), 2 (bad input, no
        CLI, unknown session), 130 (Ctrl-C).
    """
    if "_ARGCOMPLETE" in os.environ:
        return _complete()
    if sys.stdout is None:  # the caller closed it
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    _tolerant_output()
    try:
        code = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _drop_output()  # the reader of our output has closed it
        return 0
    except Exception as error:
        return _report_error(error)
    return code


def _report_error(error: Exception) -> int:
    """Prints a user's mistake as one line; a bug of ours keeps its traceback."""
    from cpr_nb.cli.common import note, print_text
    from cpr_nb.model.errors import CprError, ForeignSession, NotTrusted

    if isinstance(error, ForeignSession | NotTrusted):  # they show what would run, a line each
        print_text(f"cpr: {error}", sys.stderr)
        return EXIT_BAD_INPUT
    if isinstance(error, CprError):
        text = str(error)
    elif isinstance(error, OSError) and error.filename is None:
        _drop_output()  # our own output, such as a full disk behind a redirection
        text = f"can't write the output: {error.strerror}"
    else:
        raise error
    note(" ".join(text.split()))
    return EXIT_BAD_INPUT


def _show_bug(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Prints a traceback, which may quote a session's folder."""
    import traceback

    from cpr_nb.model.text import visible

    sys.stderr.write(visible("".join(traceback.format_exception(kind, error, trace))))


def _drop_output() -> None:
    """Sends what Python flushes at exit to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _run(argv: list[str]) -> int:
    if not argv and sys.stdin is not None and sys.stdin.isatty():
        print(SHORT_HELP, end="")
        return 0
    refuse_mistyped(argv)
    name, rest = split_command(argv)
    if name == "version":
        from cpr_nb import __version__

        print(f"cpr {__version__}")
        return 0
    if name == "help":
        return _show_help(rest)
    if name == "list" and (values := _leading_values(rest)) is not None:
        from types import SimpleNamespace

        from cpr_nb.cli.commands.list import run

        return run(SimpleNamespace(**values))  # without argparse, in two thirds of the time
    code: int = command_module(name).run(_parser_of(name).parse_args(rest))
    return code


def _show_help(words: list[str]) -> int:
    """Prints the help: of a day, of everything, or of one command."""
    from cpr_nb.cli.common import print_text
    from cpr_nb.cli.help import daily_help, full_help

    names = [word for word in words if not word.startswith("-")]
    if names:
        refuse_mistyped(names)
        if names[0] not in COMMANDS:
            from cpr_nb.model.errors import InputError

            raise InputError(f"there is no command {names[0]!r} (see cpr help --all)", "help")
        _parser_of(names[0]).print_help()
        return 0
    print_text((full_help if "--all" in words else daily_help)(COMMANDS).removesuffix("\n"))
    return 0


def _parser_of(name: str, children: Any = None) -> ArgumentParser:
    """The parser of one sub-command, with all its arguments."""
    from cpr_nb.cli.options import command_parser

    parser = command_parser(name, COMMANDS[name], children)
    command_module(name).add_arguments(parser)
    return parser


def command_module(name: str) -> Any:
    """Loads the module of a sub-command, such as ``follow_up`` for ``follow-up``.

    Args:
        name: The sub-command.
    """
    import importlib

    plain = "import_" if name == "import" else name.replace("-", "_")
    return importlib.import_module(f"cpr_nb.cli.commands.{plain}")


def _leading_values(argv: list[str]) -> dict[str, Any] | None:
    """The values of ``--results-dir`` and ``--json``; None if there is more, or a mistake."""
    values: dict[str, Any] = {"results_dir": None, "json": False}
    words = iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if word == "--json":
            values["json"] = True
        elif flag == "--results-dir":
            values["results_dir"] = value if equals else next(words, "-")
            if values["results_dir"].startswith("-"):
                return None
        else:
            return None
    return values


def split_command(argv: list[str]) -> tuple[str, list[str]]:
    """Finds the sub-command.

    Args:
        argv: The arguments.

    Returns:
        Its name (or ``help``, ``version``), and the arguments for it.

    Example:
        >>> split_command(["--status", "3f2a"])
        ('status', ['3f2a'])
        >>> split_command(["--max-parallel=3", "tasks.json"])
        ('run', ['--max-parallel=3', 'tasks.json'])
    """
    start = _first_word(argv)
    first = argv[start] if start < len(argv) else ""
    if first in COMMANDS:
        return first, argv[:start] + argv[start + 1 :]
    if first == "help":
        return "help", argv[:start] + argv[start + 1 :]
    return _split_flags(argv)


def refuse_mistyped(argv: list[str]) -> None:
    """Refuses a word that is nearly a sub-command, and no file with prompts.

    Args:
        argv: The arguments.

    Raises:
        InputError: It names the sub-commands that may be meant.
    """
    word = next(iter(argv[_first_word(argv) :]), "")
    words = (*COMMANDS, "help")
    is_name = word.replace("-", "").isalpha() and not word.startswith("-")
    if word in words or not is_name or os.path.exists(word):
        return
    import difflib

    near = difflib.get_close_matches(word, words, n=1)
    if near:
        from cpr_nb.model.errors import InputError

        hint = f"did you mean {near[0]}?"
        raise InputError(f"there is no command and no file {word!r}; {hint} (see cpr --help)")


def _first_word(argv: list[str]) -> int:
    """The index of the first argument that is not a leading option or its value."""
    index = 0
    while index < len(argv):
        flag, equals, _ = argv[index].partition("=")
        if flag not in _LEADING:
            break
        takes_next = _LEADING[flag] and not equals
        index += 2 if takes_next else 1
    return index


def _split_flags(argv: list[str]) -> tuple[str, list[str]]:
    """Finds the sub-command where a flag names it; without any, it is ``run``."""
    for index, word in enumerate(argv):
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        if flag in _INFO_FLAGS:
            return _INFO_FLAGS[flag], []
        if flag in _LEGACY_FLAGS:
            values = [value] if equals else []
            return _LEGACY_FLAGS[flag], argv[:index] + values + argv[index + 1 :]
    return "run", argv


def full_parser() -> ArgumentParser:
    """One parser with everything, for shell completion."""
    from cpr_nb.cli.options import CprParser, complete_task

    parser = CprParser(prog="cpr")
    children = parser.add_subparsers(parser_class=CprParser)
    for name in COMMANDS:
        for action in _parser_of(name, children)._actions:
            if action.metavar == "TASK":
                action.completer = complete_task  # type: ignore[attr-defined]  # argcomplete's way
    shown = children.add_parser("help", help="show the help of a command, or of all")
    shown.add_argument("command", nargs="?", choices=tuple(COMMANDS))
    shown.add_argument("--all", action="store_true")
    return parser


def _complete() -> int:
    import argcomplete

    argcomplete.autocomplete(full_parser())
    return 0


def _tolerant_output() -> None:
    """Prints a substitute, not a traceback, where a terminal lacks a character."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    console()
