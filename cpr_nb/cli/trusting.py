"""Asks the person at the terminal whether they trust what an action would run."""

from __future__ import annotations

from cpr_nb.cli.common import note
from cpr_nb.model.errors import ForeignSession, NotTrusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def with_trust(action: Callable[[], T]) -> T:
    """Does something; where that needs trust and a person can answer, they are asked first.

    Args:
        action: What to do; it is done again after a yes.

    Raises:
        NotTrusted: If nobody can answer, or they say no.
        ForeignSession: Likewise.
    """
    trusted: set[str] = set()
    while True:
        try:
            return action()
        except (NotTrusted, ForeignSession) as error:
            from cpr_nb.handles.trust import can_ask, claim_of, confirm

            if error.folder in trusted or not can_ask():
                raise
            claim = claim_of(error)
            note(*claim.lines)
            if not confirm(claim.question):
                raise
            claim.trust()
            trusted.add(error.folder)
