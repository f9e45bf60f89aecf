"""Foreign sessions that the user may trust: what they could run, trust, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from cpr_nb.launching.stored import read_complete, why_foreign
from cpr_nb.launching.would_run import what_all_run, what_runs
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.text import one_line
from cpr_nb.store import catalog, trusted
from cpr_nb.store.authorship import CHANGED, Authorship
from cpr_nb.store.read import Snapshot, read_session


class ForeignSessions:
    """The foreign sessions among some, read once: what is trusted is what was shown.

    Args:
        place: What to call them: a session's id, or a results directory.
        session_ids: All of them, also the user's own.
        foreign: The id of each that is foreign, and what it would run.
        n_changed: How many are left out because they were changed after their launch.

    Attributes:
        question: What to ask the person who has read `lines`.
    """

    def __init__(
        self,
        place: str,
        session_ids: Sequence[str],
        foreign: Sequence[tuple[str, Authorship]],
        n_changed: int = 0,
    ) -> None:
        self._place = place
        self._session_ids = session_ids
        self._foreign = foreign
        self._n_changed = n_changed
        self.question = "Trust it?"
        if len(foreign) > 1:
            self.question = f"Trust these {len(foreign)}? Not those that come later."

    @classmethod
    def of_session(cls, snapshot: Snapshot) -> ForeignSessions:
        """One session.

        Raises:
            SessionNotUsable: If nobody can run it: trust does not help.
            StateDirError: If the user's key can't be used.
        """
        session_id = snapshot.session_id
        authorship = read_complete(snapshot, "trust")
        foreign = [] if authorship.is_ours else [(session_id, authorship)]
        return cls(session_id, [session_id], foreign)

    @classmethod
    def of_results_dir(cls, directory: str) -> ForeignSessions:
        """All sessions of a results directory.

        Those that were changed after their launch are left out: each is worth a look of its own.

        Raises:
            ResultsDirError: If it can't be read.
            StateDirError: If the user's key can't be used.
        """
        foreign, session_ids, n_changed = [], [], 0
        for name in sorted(catalog.session_names(directory)):
            snapshot = read_session(f"{directory}/{name}", tasks=False)
            session_ids.append(snapshot.session_id)
            with suppress(SessionNotUsable):  # such as those of claude-parallel-runner.pl
                authorship = read_complete(snapshot, "trust")
                n_changed += authorship.why == CHANGED
                if authorship.why not in ("", CHANGED):
                    foreign.append((snapshot.session_id, authorship))
        return cls(directory, session_ids, foreign, n_changed)

    def __len__(self) -> int:
        return len(self._foreign)

    def lines(self) -> list[str]:
        """What they could run, for a person; it needs no trust if it is empty."""
        lines = []
        if len(self._foreign) == 1:
            [(session_id, authorship)] = self._foreign
            lines = [
                f"{one_line(session_id[:8])}: {why_foreign(authorship)}.",
                f"  It would run {what_runs(authorship.spec)}",
            ]
        elif self._foreign:
            lines = [
                f"{len(self._foreign)} foreign sessions in {self._place}. They could run:",
                f"  {what_all_run(self._foreign)}",
            ]
        if self._n_changed:
            lines.append(f"{self._n_changed} more left out: {CHANGED}   (cpr trust SESSION)")
        return lines

    def trust(self) -> None:
        """Remembers that the user trusts them as they stand.

        Raises:
            StateDirError: If it can't be written down.
        """
        if self._foreign:
            hashes = {authorship.sha256: session_id for session_id, authorship in self._foreign}
            trusted.remember_all(trusted.SESSION, hashes)

    def forget(self) -> int:
        """Trusts them no longer, whatever they held then; how many were trusted.

        Raises:
            StateDirError: If it can't be written down.
        """
        known, ids = trusted.trusted(trusted.SESSION), set(self._session_ids)
        hashes = [sha256 for sha256, session_id in known.items() if session_id in ids]
        for sha256 in hashes:
            trusted.forget(trusted.SESSION, sha256)
        return len(hashes)
