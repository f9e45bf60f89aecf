"""What ``cpr doctor`` says about the user's key and about foreign sessions."""

from __future__ import annotations

from collections.abc import Iterator

from cpr_nb.cli.render import program
from cpr_nb.model.errors import CprError
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.key import read_key
from cpr_nb.store.state_dir import VARIABLE, can_make_state_dir, state_dir
from cpr_nb.views.formatting import plural

#: Whether it is good, its name, and the words for a person.
Finding = tuple[bool, str, str]

_NO_SEAL = "new sessions have no seal, so each resume and retry asks for your trust"


def key_findings() -> Iterator[Finding]:
    """Whether new sessions are sealed, so that they are known as the user's own later."""
    name = "state directory"
    try:
        key, can_make = read_key(), can_make_state_dir()
    except CprError as error:  # it says what to do
        yield False, name, str(error)
        return
    if key is not None:
        yield True, name, f"{state_dir()}, with your key"
    elif can_make:
        yield True, name, f"{state_dir()}, the first launch makes your key"
    else:
        words = f"{state_dir()} can't be made: {_NO_SEAL} ({VARIABLE} names another directory)"
        yield True, name, words


def foreign_findings(results_dir: str) -> Iterator[Finding]:
    """How many sessions of the results directory this user has not launched on this machine."""
    marks = read_marks()
    try:
        sessions = catalog.list_sessions(results_dir)
    except CprError:
        return  # said elsewhere
    n_foreign = sum(bool(marks.is_foreign(one.head, one.session_id)) for one in sessions)
    if n_foreign:
        words = f"{plural(n_foreign, 'foreign session')} of {len(sessions)}: they can be read"
        how = f"they run again only after {program()} trust {results_dir}"
        yield True, "sessions", f"{words}; {how}"
