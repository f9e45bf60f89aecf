"""A session in the format of another tool, as a method of its handle."""

from __future__ import annotations

import os
from pathlib import Path

from cpr_nb.handles.collection import SessionTasks


class SessionExport(SessionTasks):
    """The method of a `Session` that exports it."""

    def export(
        self,
        to: str,
        path: str | os.PathLike[str] | None = None,
        *,
        redact: bool = False,
        with_content: bool = False,
    ) -> Path:
        """Writes it in the format of another tool, such as a log that ``inspect view`` shows.

        Also of a session that runs: as of now.

        Args:
            to: ``"inspect"``, ``"atif"``, ``"ctrf"``, ``"junit"`` or ``"otel"``.
            path: The file, which is replaced if it is there; for ``"atif"`` a folder, which must be
                empty or missing. By default one in the current folder, named after the session.
            redact: Whether to leave out prompts, answers, messages, commands and folders.
            with_content: Whether the spans of ``"otel"`` hold the prompts, messages and results of
                tools, too.

        Returns:
            The file or folder.

        Raises:
            InputError: If there is no such format, or the path can't be written.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").export("inspect", "review.eval")  # doctest: +SKIP
            PosixPath('review.eval')
        """
        from cpr_nb.exchange.exports import export_session

        snapshot = self.refresh().snapshot
        return export_session(snapshot, to, path, redact=redact, with_content=with_content)
