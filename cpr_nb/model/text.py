"""Text from anywhere, made fit to be shown: nothing in it drives a terminal, or hides."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

# Control characters but newline and tab, what Unicode wants no font to show (marks that turn the
# order of text around, tags, …), other ends of lines, and what UTF-8 or XML can't contain.
# Compiled at first use: the runner loads this module, but seldom needs the pattern.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
# What joins the signs of one emoji, or shapes the letters of a script, follows such a sign or
# letter. Anywhere else it is hidden, too.
_JOINERS = "\u200c\u200d"
_VARIANTS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
# A sign or letter takes one variant and one joiner, in this order; the Latin script needs none.
_NEEDED = (
    f"[^\x00-\u02ff\\s{_HIDDEN}{_JOINERS}{_VARIANTS}][{_VARIANTS}]?[{_JOINERS}]?"
    "|[0-9#*©®][\ufe0e\ufe0f]"
)
# Those of all these characters that Python counts as printable.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0").union(
    map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0))
)


def visible(text: str) -> str:
    r"""The text with the code of each character that drives a terminal, or that nobody sees.

    Newlines and tabs stay, and what an emoji or a script needs. So does the order in which text
    from right to left is read, but not the marks that turn it around.

    Example:
        >>> visible("\x1b[31mred \u202e\nشب")
        '\\x1b[31mred \\u202e\nشب'
    """
    if text.isprintable() and (text.isascii() or _BLANKS.isdisjoint(text)):
        return text  # as nearly always
    import re  # seldom needed, and it takes as long as Python's own start

    pattern = f"[{_HIDDEN}]+|[{_JOINERS}{_VARIANTS}]+"
    return re.sub(pattern, _shown, text.replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    """The codes of characters, or themselves where the sign before them needs them."""
    start, characters = match.start(), match[0]
    before = match.string[start - 1 : start]
    import re

    if re.fullmatch(_NEEDED, before + characters):
        return characters
    return characters.encode("unicode_escape").decode("ascii")


def visible_line(text: str) -> str:
    r"""The text as `visible` shows it, with the codes of newlines and tabs, too.

    Example:
        >>> visible_line("one\ntwo")
        'one\\ntwo'
    """
    shown = visible(text)
    return shown if shown.isprintable() else shown.replace("\n", "\\n").replace("\t", "\\t")


def one_line(text: str, limit: int = 300) -> str:
    r"""The text on one line, as `visible` shows it, cut to ``limit`` characters.

    Example:
        >>> one_line("a\n b\x1b[31m")
        'a b\\x1b[31m'
    """
    line = visible(" ".join(text[: 4 * limit].split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shorten(names: Sequence[str], most: int = 10, separator: str = ", ") -> str:
    """Names for the user, not too many.

    Example:
        >>> shorten(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return separator.join(names[:most]) + more
