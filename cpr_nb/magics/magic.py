"""One call of the magic: parses the arguments, runs the command, reports mistakes in a line."""

from __future__ import annotations

import keyword
import re
import shlex
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from cpr_nb.cli.main import (
    COMMANDS,
    SHORT_HELP,
    command_module,
    refuse_mistyped,
    split_command,
)
from cpr_nb.cli.options import command_parser
from cpr_nb.magics import handlers, prompts
from cpr_nb.model.errors import CprError, InputError
from cpr_nb.model.templates import fill

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from IPython.core.interactiveshell import InteractiveShell

#: Commands whose ``-o`` names a file, not a variable.
_WRITES_FILE = ("export", "map", "report")
#: A word of a line, with its quotes.
_WORD = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\])+""")


def call(shell: InteractiveShell, line: str, cell: str | None) -> Any:
    """Runs the command of a line or a cell.

    Args:
        shell: The shell that calls.
        line: The text after ``%cpr`` or ``%%cpr``.
        cell: The text below ``%%cpr``; None for ``%cpr``.

    Returns:
        What `handlers.run_command` returns; None if the line ends with ``;``.

    Raises:
        UsageError: A mistake of the user, which IPython shows as one red line.
    """
    line = _without_comment(line).strip()
    silent = line.endswith(";")
    try:
        value = _call(shell, line.removesuffix(";"), cell)
    except CprError as error:
        raise UsageError(" ".join(str(error).split())) from None
    except SystemExit:  # argparse has printed a help
        return None
    return None if silent else value


def _call(shell: InteractiveShell, line: str, cell: str | None) -> Any:
    names = prompts.notebook_names(shell)
    words = [fill(word, names, "%cpr") for word in _words(line)]
    if not words and cell is None:
        print(SHORT_HELP, end="")
        return None
    refuse_mistyped(words)
    name, rest = split_command(words)
    if name in ("help", "version"):
        return handlers.print_main(name, rest)
    args = build_parser(name).parse_args(rest)
    _check(name, args, cell)
    value = handlers.run_command(shell, name, args, cell, names)
    if args.output is not None:
        shell.user_ns[args.output] = value
    return value


def build_parser(name: str) -> ArgumentParser:
    """Returns the parser of a sub-command: that of the command line, with ``-o``."""
    parser = command_parser(name, COMMANDS[name])
    command_module(name).add_arguments(parser)
    parser.prog = f"%cpr {name}"
    if name in _WRITES_FILE:
        parser.set_defaults(output=None)
    else:
        parser.add_argument(
            "-o",
            "--output",
            metavar="NAME",
            help="the variable in the notebook for what it returns",
        )
    return parser


def _without_comment(line: str) -> str:
    """Returns a line without its comment: the first word that begins with ``#``, and all after it.

    Example:
        >>> _without_comment("run '# 1.json' -j 4  # don't hurry")
        "run '# 1.json' -j 4  "
    """
    starts = (word.start() for word in _WORD.finditer(line) if word[0].startswith("#"))
    return line[: next(starts, len(line))]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise InputError(f"{error}: '…' and \"…\" must be closed", "%cpr") from None


def _check(name: str, args: Namespace, cell: str | None) -> None:
    """Raises an error for arguments that can't work, before anything is done."""
    output = args.output
    if output is not None and (not output.isidentifier() or keyword.iskeyword(output)):
        raise InputError(f"{output!r} can't be a name in the notebook", "-o")
    if name != "run":
        if cell is not None:
            raise InputError(
                f"%%cpr takes prompts, so it works only with run; write %cpr {name} on one line",
                "%%cpr",
            )
        return
    if cell is not None and args.file is not None:
        raise InputError(
            f"there are prompts in the cell and in {args.file}: use only one of them", "%%cpr"
        )
    if cell is None and args.file in (None, "-"):
        raise InputError("no prompts: name a file, or write them below %%cpr run", "%cpr run")
