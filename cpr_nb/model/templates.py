"""Prompts with placeholders: ``{name}``, and no other syntax.

A placeholder is an identifier between braces, with nothing else between them. Prompts contain JSON
and code, so every other brace stays as it is: ``{}``, ``{0}``, ``{a.b}``, ``{x:>3}``, ``{"a": 1}``.
For braces around a word that is not a placeholder, double them: ``{{name}}`` becomes ``{name}``.
"""

from __future__ import annotations

import re

from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: More names than these, such as all of a notebook, are no help in an error.
_MOST_NAMES = 20
_WORD = re.compile(r"(\{+)([^{}\s]+)(\}+)")


def names(template: str) -> tuple[str, ...]:
    """The placeholders of a template, each once, in order.

    Example:
        >>> names('Review {path} for {who}: {"as": "JSON"}, {path}, {{not this}}, {{nor_this}}')
        ('path', 'who')
    """
    placeholders = (match[2] for match in _WORD.finditer(template) if _is_placeholder(match))
    return tuple(dict.fromkeys(placeholders))


def fill(template: str, values: Mapping[str, object], where: str = "") -> str:
    """Puts values into the placeholders of a template.

    A value is never filled in again, so it may contain braces.

    Args:
        template: The text.
        values: Name → value; ``str`` of it is inserted. Values without a placeholder are ignored.
        where: The element with the template, for the error.

    Returns:
        The text.

    Raises:
        InputError: If a placeholder has no value.

    Example:
        >>> fill('Answer {who} as {"name": "{{who}}"}', {"who": "{Ann}"})
        'Answer {Ann} as {"name": "{who}"}'
    """

    def one(match: re.Match[str]) -> str:
        opening, name, closing = match.groups()
        if _is_placeholder(match):
            if name not in values:
                raise _unknown(name, values, where)
            return f"{opening[1:]}{values[name]}{closing[1:]}"
        if name.isidentifier():
            return f"{opening[1:]}{name}{closing[1:]}"
        return match[0]

    return _WORD.sub(one, template)


def _is_placeholder(match: re.Match[str]) -> bool:
    """Whether it is an identifier between single braces."""
    return match[2].isidentifier() and min(len(match[1]), len(match[3])) == 1


def _unknown(name: str, values: Mapping[str, object], where: str) -> InputError:
    import difflib

    known = [str(key) for key in values]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {{{near[0]}}}? " if near else ""
    if 0 < len(known) <= _MOST_NAMES and not near:
        hint = f"there is {', '.join(known)}. "
    return InputError(
        f"nothing is called {{{name}}}: {hint}For the braces themselves write {{{{{name}}}}}", where
    )
