"""What Tab offers behind ``%cpr``: sub-commands, options, their values, sessions."""

from __future__ import annotations

import argparse
import re

from cpr_nb.cli.main import COMMANDS, split_command
from cpr_nb.magics.magic import build_parser

_MAGIC = re.compile(r"%cpr\s")


def complete(text: str) -> list[str]:
    """The words that fit at the end of a line.

    Args:
        text: The line up to the cursor.

    Returns:
        The words; none where a file or anything else belongs.

    Example:
        >>> complete("s = %cpr re")
        ['results', 'resume', 'retry']
    """
    words = text[[match.end() for match in _MAGIC.finditer(text)][-1] :].split()
    prefix = "" if not words or text[-1].isspace() else words.pop()
    fits = [word for word in _candidates(words, prefix) if word.startswith(prefix)]
    # The shell completes what stands behind the last "=".
    cut = prefix.rfind("=") + 1
    return [word[cut:] for word in fits]


def _candidates(before: list[str], prefix: str) -> list[str]:
    if not before and not prefix.startswith("-"):
        return list(COMMANDS)
    name, rest = split_command(before)
    if name not in COMMANDS:
        return []
    parser = build_parser(name)
    flags = {flag: action for action in parser._actions for flag in action.option_strings}
    flag, equals, _ = prefix.partition("=")
    if equals:
        return [f"{flag}={value}" for value in _values(flags.get(flag), "", rest)]
    last = flags.get(rest[-1]) if rest else None
    if last is not None and last.nargs != 0:
        return _values(last, prefix, rest)
    if prefix.startswith("-"):
        return sorted(flags)
    positional = [action for action in parser._actions if not action.option_strings]
    return [word for action in positional for word in _values(action, prefix, rest)]


def _values(action: argparse.Action | None, prefix: str, words: list[str]) -> list[str]:
    """What an option or an argument can be, where that is known."""
    if action is None:
        return []
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    completer = getattr(action, "completer", None)
    if completer is None:
        return []
    given = argparse.Namespace(results_dir=_option_value("--results-dir", words))
    found: list[str] = completer(prefix, given)
    return found


def _option_value(flag: str, words: list[str]) -> str | None:
    for index, word in enumerate(words):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and index + 1 < len(words):
            return words[index + 1]
    return None
