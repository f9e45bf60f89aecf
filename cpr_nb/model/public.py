"""Marks the objects that users import from `cpr_nb`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")


def public(value: T) -> T:
    """Decorates a public class or function: it then says that it lives in `cpr_nb`.

    A traceback shows ``cpr_nb.SessionNotFound``, and a pickle survives a move of the file.

    Example:
        >>> from cpr_nb.model.errors import SessionNotFound
        >>> SessionNotFound.__module__
        'cpr_nb'
    """
    value.__module__ = "cpr_nb"
    return value
