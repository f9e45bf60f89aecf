"""The public functions transcripts and transcripts_df: what Claude Code did on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.frames import filters
from cpr_nb.frames.columns import DataFrame
from cpr_nb.frames.filters import Since
from cpr_nb.frames.table_html import set_html
from cpr_nb.frames.transcripts.price_list import price_list
from cpr_nb.frames.transcripts.transcript_columns import USAGE
from cpr_nb.frames.transcripts.transcript_events import (
    USUAL_TYPES,
    conversation_files,
    parse_event_columns,
    read_events,
)
from cpr_nb.frames.transcripts.transcript_files import transcripts_folder
from cpr_nb.frames.transcripts.transcript_index import read_index
from cpr_nb.frames.transcripts.transcript_tables import TranscriptTables
from cpr_nb.frames.usage_groups import group_usage, parse_by
from cpr_nb.model.public import public

_GROUPS = {
    "day": "at",
    "project": "cwd",
    "model": "model",
    "conversation": "conversation_id",
    "agent": "agent_id",
}
_USUAL_GROUPS = ("conversation", "agent", "model")


@public
class Transcripts:
    """What was read of a folder of transcripts; each table is made when it is asked for.

    Example:
        >>> import cpr_nb as cpr
        >>> seen = cpr.transcripts()  # doctest: +SKIP
        >>> seen.usage_df(by=["day", "project", "model"])  # doctest: +SKIP
    """

    def __init__(self, folder: str, since: Since | None = None) -> None:
        self.folder = folder
        self._since = None if since is None else _moment(since)
        self.refresh()

    def refresh(self) -> Transcripts:
        """Reads what is new, and returns itself."""
        self._tables = TranscriptTables(read_index(self.folder, os.environ))
        self._messages: DataFrame | None = None
        return self

    @property
    def n_read_bytes(self) -> int:
        """How many bytes the last reading read: those that were new."""
        return self._tables.index.n_read_bytes

    @property
    def prices_as_of(self) -> str:
        """The date of the price list by which costs are estimated."""
        date: str = price_list()["as_of"]
        return date

    def df(self, *, full: bool = False) -> DataFrame:
        """One row per conversation, the newest first.

        Args:
            full: Whether to return all columns.
        """
        rows = self._tables.conversations(self._all_messages(), full=full)
        return self._recent(rows, "ended_at")

    def messages_df(self) -> DataFrame:
        """One row per answer of a model, each once, with its tokens and its cost."""
        return self._recent(self._all_messages(), "at")

    def usage_df(self, by: str | Iterable[str] = _USUAL_GROUPS) -> DataFrame:
        """The usage in groups; costs are estimates at list price, see `prices_as_of`.

        Args:
            by: One group or several: ``day`` (of UTC), ``project`` (the folder), ``model``,
                ``conversation``, ``agent`` (missing for what is no subagent's).

        Raises:
            InputError: If there is no such group.
        """
        names = parse_by(by, _GROUPS)
        rows = group_usage(self._recent(self._all_messages(), "at"), names, _GROUPS)
        columns = {"conversation": "conversation_id", "agent": "agent_id"}
        rows = rows.rename(columns=columns)
        if names == list(_USUAL_GROUPS):
            rows = rows[[column.name for column in USAGE]]
        return set_html(rows)

    def tool_calls_df(self, *, full: bool = False) -> DataFrame:
        """One row per tool call, each once, with what became of it.

        Args:
            full: Whether to return all columns.
        """
        return self._recent(self._tables.tool_calls(full=full), "started_at")

    def events_df(
        self,
        conversation: str | None = None,
        *,
        types: str | Iterable[str] = USUAL_TYPES,
        columns: str | Iterable[str] | None = None,
    ) -> DataFrame:
        """One row per content block of a line, or per line without any, in the order of files.

        Over all conversations, a line that forks have copied is there once. The texts are read
        from the files each time: ask for one conversation, or for few columns.

        Args:
            conversation: Only this one: its id, or the beginning of its id.
            types: Only lines of this type, or of these.
            columns: Only this column, or these, in this order.

        Raises:
            InputError: If there is no such conversation or column.
        """
        wanted = parse_event_columns(columns)
        names = frozenset([types] if isinstance(types, str) else types)
        files = conversation_files(self._tables, conversation)
        if self._since is not None and conversation is None:
            files = files[(files["last_at"] >= self._since).fillna(False).to_numpy(bool)]
        return set_html(read_events(self._tables, files, names, wanted))

    def _all_messages(self) -> DataFrame:
        if self._messages is None:
            self._messages = self._tables.messages()
        return self._messages

    def _recent(self, rows: DataFrame, time: str) -> DataFrame:
        if self._since is not None:
            is_recent = (rows[time] >= self._since).fillna(False).to_numpy(bool)
            rows = rows.iloc[np.flatnonzero(is_recent)].reset_index(drop=True)
        return set_html(rows)

    def __repr__(self) -> str:
        return f"<Transcripts of {self.folder}: {len(self._tables.files)} files>"


def _moment(since: Since) -> Any:
    return pd.Timestamp(filters.parse_since_s(since), unit="s", tz="UTC")


@public
def transcripts(
    folder: str | os.PathLike[str] | None = None, *, since: Since | None = None
) -> Transcripts:
    """Reads the transcripts of Claude Code: everything that agents did, each answer once.

    Nothing is written to the folder, and nothing leaves the machine. An index in your cache folder
    lets the next call read only what is new.

    Args:
        folder: A folder with transcripts, at any depth; by default that of your own Claude Code.
        since: Only what happened since: a moment (without a zone: local time), or how long ago
            (a timedelta, ``"2d"``, ``"90min"``).

    Raises:
        InputError: If there is no such folder, or ``since`` is not valid.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.transcripts(since="30d").usage_df(by=["day", "model"])  # doctest: +SKIP
    """
    return Transcripts(transcripts_folder(folder, os.environ), since)


@public
def transcripts_df(
    folder: str | os.PathLike[str] | None = None,
    *,
    since: Since | None = None,
    full: bool = False,
) -> DataFrame:
    """One row per conversation of Claude Code on this machine, the newest first.

    Args:
        folder: A folder with transcripts, at any depth; by default that of your own Claude Code.
        since: Only conversations with something since: a moment (without a zone: local time), or
            how long ago (a timedelta, ``"2d"``, ``"90min"``).
        full: Whether to return all columns.

    Raises:
        InputError: If there is no such folder, or ``since`` is not valid.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.transcripts_df(since="7d")[["prompt", "cost_usd"]]  # doctest: +SKIP
    """
    return Transcripts(transcripts_folder(folder, os.environ), since).df(full=full)
