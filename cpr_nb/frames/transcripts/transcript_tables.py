"""The tables of transcripts, made from the index: each answer and each call counts once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.frames.arrays import array, frame
from cpr_nb.frames.columns import Column
from cpr_nb.frames.transcripts.price_list import estimate_costs
from cpr_nb.frames.transcripts.transcript_columns import MESSAGES, TOOL_CALLS, TRANSCRIPTS
from cpr_nb.frames.transcripts.transcript_files import agent_id_of, is_compaction
from cpr_nb.frames.transcripts.transcript_index import TranscriptIndex

#: The tools that start a subagent, now and in earlier versions.
_STARTING_TOOLS = ("Agent", "Task")
_FIGURES = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    "cost_usd",
)


def selected(rows: dict[str, Any], columns: Sequence[Column], *, full: bool = True) -> pd.DataFrame:
    """A table with these columns, from arrays by name."""
    return frame({c.name: rows[c.name] for c in columns if full or c.default})


class TranscriptTables:
    """The tables of one reading of a folder.

    Args:
        index: What was read.
    """

    def __init__(self, index: TranscriptIndex) -> None:
        self.index = index
        self.files = index.files.set_index("file", drop=False)
        paths = index.files["path"].tolist()
        self.files["agent_id"] = array([agent_id_of(path) for path in paths], "string")
        self.files["is_compaction"] = np.array([is_compaction(path) for path in paths], bool)
        self._parents = self._find_parents()

    # -- subagents --------------------------------------------------------------------------

    def _find_parents(self) -> pd.DataFrame:
        """For each subagent: the call that started it, and whether that call is current."""
        calls = self.index.calls
        is_start = calls["started_agent"].notna() | calls["tool"].isin(_STARTING_TOOLS)
        started = calls[(is_start & calls["is_original"]).to_numpy(bool)]
        callers = self.files["agent_id"].reindex(started["file"]).tolist()
        ids = started["tool_use_id"].tolist()
        flags = dict(
            zip(ids, zip(started["is_current"].tolist(), callers, strict=True), strict=True)
        )
        parents = dict(zip(started["started_agent"].tolist(), ids, strict=True))
        noted = self.files[self.files["parent_call"].notna()]
        parents |= zip(noted["agent_id"].tolist(), noted["parent_call"].tolist(), strict=True)
        agents = [agent for agent in parents if agent is not pd.NA]
        return pd.DataFrame(
            {
                "call": array([parents[agent] for agent in agents], "string"),
                "is_current": array([_is_current(a, parents, flags) for a in agents], "boolean"),
            },
            index=pd.Index(agents, dtype="object"),
        )

    def of_files(self, numbers: Any) -> dict[str, Any]:
        """What rows of files share: by the numbers of their files."""
        known, whole, parents = self._by_number
        places = np.searchsorted(known, numbers)
        of_rows = parents[places]
        return {
            "conversation_id": whole["session_id"].array.take(places),
            "agent_id": whole["agent_id"].array.take(places),
            "cwd": whole["cwd"].array.take(places),
            "parent_tool_use_id": self._parents["call"].array.take(of_rows, allow_fill=True),
            "parent_is_current": self._parents["is_current"].array.take(of_rows, allow_fill=True),
        }

    @cached_property
    def _by_number(self) -> tuple[Any, pd.DataFrame, Any]:
        """The numbers of the files in order, the files, and the rows of their parents."""
        numbers = self.files["file"].to_numpy("int64")
        order = np.argsort(numbers, kind="stable")
        whole = self.files.iloc[order]
        parents = self._parents.index.get_indexer(pd.Index(whole["agent_id"], dtype="object"))
        return numbers[order], whole, parents

    # -- tables -----------------------------------------------------------------------------

    def messages(self) -> pd.DataFrame:
        """`Transcripts.messages_df`, in the order of the files."""
        rows = self.index.messages
        rows = rows[rows["is_original"].to_numpy(bool)]
        shared = self.of_files(rows["file"].to_numpy("int64"))
        values: dict[str, Any] = {name: rows[name].array for name in rows.columns}
        values |= shared
        values["cost_usd"] = estimate_costs(rows)
        values["is_current_branch"] = _first_known(rows["is_current"].array, shared)
        return selected(values, MESSAGES)

    def tool_calls(self, *, full: bool = False) -> pd.DataFrame:
        """`Transcripts.tool_calls_df`, in the order of the files."""
        rows = self.index.calls
        rows = rows[rows["is_original"].fillna(True).to_numpy(bool)]
        shared = self.of_files(rows["file"].to_numpy("int64"))
        values: dict[str, Any] = {name: rows[name].array for name in rows.columns}
        values |= shared
        seconds = (rows["ended_at"] - rows["started_at"]).dt.total_seconds()
        values["duration_s"] = seconds.where(seconds >= 0).astype("Float64").array
        values["is_current_branch"] = _first_known(rows["is_current"].array, shared)
        return selected(values, TOOL_CALLS, full=full)

    def conversations(self, messages: pd.DataFrame, *, full: bool = False) -> pd.DataFrame:
        """`Transcripts.df`, the newest first.

        Args:
            messages: The answers, from `messages`.
            full: Whether all columns are wanted.
        """
        files = self.files[self.files["session_id"].notna()]
        main = files[files["agent_id"].isna()].drop_duplicates("session_id", keep="last")
        # A conversation whose own file is gone is known by its subagents.
        rest = files[~files["session_id"].isin(main["session_id"])].drop_duplicates("session_id")
        rows = pd.concat([main, rest]).set_index("session_id", drop=False)
        by_id = messages.groupby("conversation_id")
        values: dict[str, Any] = {
            name: by_id[name].sum(min_count=1).reindex(rows.index).array for name in _FIGURES
        }
        agents = files[files["agent_id"].notna()]
        subagents = agents[~agents["is_compaction"]]
        calls = self.index.calls
        of_calls = calls.loc[calls["is_original"].fillna(True).to_numpy(bool), "file"]
        values |= {
            "conversation_id": rows["session_id"].array,
            "prompt": rows["title"].array,
            "n_prompts": rows["n_prompts"].array,
            "n_messages": _counts(messages["conversation_id"], rows.index),
            "n_tool_calls": _counts(of_calls.map(self.files["session_id"]), rows.index),
            "n_agents": _counts(subagents["session_id"], rows.index),
            "started_at": rows["first_at"].array,
            "ended_at": _last_times(files).reindex(rows.index).array,
            "cwd": rows["cwd"].array,
        }
        if full:
            values |= self._more(messages, rows, agents)
        began = pd.Series(values["started_at"])
        order = began.sort_values(ascending=False, na_position="last", kind="stable").index
        table = selected(values, TRANSCRIPTS, full=full)
        return table.iloc[order].reset_index(drop=True)

    def _more(
        self, messages: pd.DataFrame, rows: pd.DataFrame, agents: pd.DataFrame
    ) -> dict[str, Any]:
        """The columns of `Transcripts.df` that are seldom wanted."""
        ids = messages["conversation_id"]
        copies = self.index.messages
        copies = copies.loc[~copies["is_original"].to_numpy(bool), "file"]
        is_abandoned = ~messages["is_current_branch"].fillna(True)
        unknown = _counts(ids[messages["cost_usd"].isna()], rows.index)
        output = messages.groupby(["conversation_id", "model"])["output_tokens"].sum()
        most = output.sort_values().reset_index().drop_duplicates("conversation_id", keep="last")
        model = most.set_index("conversation_id")["model"].reindex(rows.index)
        return {
            "n_compactions": _counts(agents[agents["is_compaction"]]["session_id"], rows.index),
            "n_abandoned": _counts(ids[is_abandoned], rows.index),
            "n_copied": _counts(copies.map(self.files["session_id"]), rows.index),
            "n_unknown_costs": pd.Series(unknown).mask(unknown == 0).array,
            "model": model.astype("string").array,
            "git_branch": rows["git_branch"].array,
            "claude_version": rows["claude_version"].array,
            "n_unreadable": rows["n_unreadable"].mask(rows["n_unreadable"] == 0).array,
            "path": array([f"{self.index.folder}/{path}" for path in rows["path"]], "string"),
        }


def _is_current(
    agent: Any, parents: dict[Any, Any], flags: dict[Any, tuple[Any, Any]]
) -> bool | None:
    """Whether a subagent is part of its conversation as it stands: as its call is, or its caller.

    Args:
        agent: The subagent.
        parents: Subagent → the call that started it.
        flags: Call → whether it is current, and the subagent that called.
    """
    seen = set()
    while agent in parents and agent not in seen:
        seen.add(agent)
        is_current, agent = flags.get(parents[agent], (None, None))
        if isinstance(is_current, bool):
            return is_current
    return None


def _last_times(files: pd.DataFrame) -> Any:
    """The last time in any file of each conversation."""
    return files.groupby("session_id")["last_at"].max()


def _counts(ids: pd.Series[Any], index: pd.Index[Any]) -> Any:
    """How often each conversation occurs."""
    return ids.value_counts().reindex(index, fill_value=0).astype("Int64").array


def _first_known(flags: Any, shared: dict[str, Any]) -> Any:
    """Whether rows are current: a subagent's are as current as the call that started it."""
    return pd.Series(flags).fillna(pd.Series(shared["parent_is_current"])).array
