"""Splits a shell command into the simple commands that it consists of, as far as a rule needs it.

It is no shell: nothing is expanded. What is inside quotes and ``$(…)`` stays part of its word.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Each alternative begins with another character or excludes the others, so matching is linear.
_BLANK = r"(?:[ \t\r]|\\\n)+"
_SEPARATOR = r"&&|\|\||\|&|;+|[|&\n()]"
_REDIRECTION = r"\d*(?:<<<|<<-?|<>|<&|>&|>>|>\||[<>](?!\())|&>>?"
_QUOTED = r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`\\]|\\.)*`"
_PLAIN = r"[^\s'\"\\`;|&()<>$]+"
_TOKEN = re.compile(
    rf"(?P<blank>{_BLANK})|(?P<redirection>{_REDIRECTION})|(?P<separator>{_SEPARATOR})"
    rf"|(?P<piece>{_QUOTED}|{_PLAIN}|[$<>]\(|\\.?|.)",
    re.DOTALL,
)
_IN_NESTED = re.compile(rf"{_QUOTED}|[()]|[^'\"`()]+|.", re.DOTALL)
_HEREDOCS = ("<<", "<<-")
# Words before a simple command that are not part of it.
_OPENING = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{"})
_ALONE = frozenset({"fi", "done", "esac", "}", "for", "case", "select", "function"})


def simple_commands(command: str) -> list[list[str]]:
    """Returns the simple commands of a command, in order, each as its words.

    Redirections, comments, the words of control structures and the texts of here-documents are
    left out. Quotes stay as they are.

    Example:
        >>> simple_commands("cd sub && pytest -q > 'a b' 2>&1 | tail -5")
        [['cd', 'sub'], ['pytest', '-q'], ['tail', '-5']]
    """
    commands: list[list[str]] = [[]]
    is_target = False  # whether the next word is where a redirection leads
    for kind, token in _tokens(command):
        if kind == "separator":
            commands.append([])
        elif kind == "word" and not is_target:
            commands[-1].append(token)
        is_target = kind == "redirection"
    return [words for words in map(_without_keywords, commands) if words]


def _without_keywords(words: list[str]) -> list[str]:
    n_opening = 0
    while n_opening < len(words) and words[n_opening] in _OPENING:
        n_opening += 1
    rest = words[n_opening:]
    return [] if rest and rest[0] in _ALONE else rest


def _tokens(command: str) -> Iterator[tuple[str, str]]:
    """Yields separators, redirections and words, with their kinds."""
    at, word, tags = 0, "", list[str]()
    awaits_tag = False
    while match := _TOKEN.match(command, at):
        kind, text = str(match.lastgroup), match.group()
        at = match.end()
        if kind == "piece" and (word or not text.startswith("#")):
            if text in ("$(", "<(", ">("):
                at = _end_of_nested(command, at)
            word += command[match.start() : at]
            continue
        if word:
            if awaits_tag:
                tags.append(word.strip("'\"").replace("\\", ""))
                awaits_tag = False
            yield "word", word
            word = ""
        if kind == "piece":  # a comment
            at = _end_of_line(command, at)
        elif kind != "blank":
            awaits_tag = text in _HEREDOCS
            yield kind, text
            if text == "\n" and tags:
                at, tags = _end_of_texts(command, at, tags), []
    if word:
        yield "word", word


def _end_of_line(command: str, at: int) -> int:
    end = command.find("\n", at)
    return len(command) if end < 0 else end


def _end_of_nested(command: str, at: int) -> int:
    """The end of what an opening parenthesis before ``at`` began."""
    depth = 1
    while depth and (match := _IN_NESTED.match(command, at)):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        at = match.end()
    return at


def _end_of_texts(command: str, at: int, tags: list[str]) -> int:
    """The end of the here-documents that begin at ``at``."""
    for tag in tags:
        while at < len(command):
            end = _end_of_line(command, at)
            line, at = command[at:end], min(end + 1, len(command))
            if line.strip() == tag:
                break
    return at
