"""What Tab offers after ``%cpr``: sub-commands, options, their values, sessions."""

from __future__ import annotations

import argparse
import re

from cpr_nb.cli.main import COMMANDS, split_command
from cpr_nb.magics.magic import build_parser

_MAGIC = re.compile(r"%cpr\s")


def complete(text: str) -> list[str]:
    """Returns the words that complete a line.

    Args:
        text: The line up to the cursor.

    Returns:
        The words; none where a file name or free text is expected.

    Example:
        >>> complete("s = %cpr re")
        ['results', 'report', 'resume', 'retry']
    """
    words = text[[match.end() for match in _MAGIC.finditer(text)][-1] :].split()
    prefix = "" if not words or text[-1].isspace() else words.pop()
    matches = [word for word in _candidates(words, prefix) if word.startswith(prefix)]
    # The shell completes what follows the last "=".
    start = prefix.rfind("=") + 1
    return [word[start:] for word in matches]


def _candidates(before: list[str], prefix: str) -> list[str]:
    if not before and not prefix.startswith("-"):
        return list(COMMANDS)
    name, rest = split_command(before)
    if name not in COMMANDS:
        return []
    return _arguments(build_parser(name)._actions, rest, prefix)


def _arguments(actions: list[argparse.Action], before: list[str], prefix: str) -> list[str]:
    """Returns what may follow the arguments before it: a value, an option or an argument."""
    options = {flag: action for action in actions for flag in action.option_strings}
    flag, equals, _ = prefix.partition("=")
    if equals:
        return [f"{flag}={value}" for value in _values(options.get(flag), "", before)]
    last = options.get(before[-1]) if before else None
    if last is not None and last.nargs != 0:
        return _values(last, prefix, before)
    return sorted(options) if prefix.startswith("-") else _positionals(actions, before, prefix)


def _positionals(actions: list[argparse.Action], before: list[str], prefix: str) -> list[str]:
    positionals = [action for action in actions if not action.option_strings]
    return [word for action in positionals for word in _values(action, prefix, before)]


def _values(action: argparse.Action | None, prefix: str, words: list[str]) -> list[str]:
    """Returns the possible values of an option or an argument, if they are known."""
    if action is None:
        return []
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    completer = getattr(action, "completer", None)
    if completer is None:
        return []
    parsed = argparse.Namespace(results_dir=_option_value("--results-dir", words))
    values: list[str] = completer(prefix, parsed)
    return values


def _option_value(flag: str, words: list[str]) -> str | None:
    for index, word in enumerate(words):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and index + 1 < len(words):
            return words[index + 1]
    return None
