"""What ``cpr import`` shows of the transcripts of Claude Code: totals, models, the newest ones."""

from __future__ import annotations

from datetime import datetime

from cpr_nb.cli.common import print_json, print_lines
from cpr_nb.model.text import one_line
from cpr_nb.views.formatting import plural, short_count, usd_amount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.frames.transcripts.reading import Transcripts

_NEWEST = 10
_PROMPT_CHARS = 60
#: How pandas writes what is missing. Comparing its NA is an error.
_MISSING = ("<NA>", "NaT", "nan")
_TOKENS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache read",
    "cache_write_tokens": "cache write",
}


def show_transcripts(folder: str | None, since: str | None, *, as_json: bool) -> None:
    """Reads what is new in a folder of transcripts, and prints what is there.

    Args:
        folder: The folder; None for that of the user's own Claude Code.
        since: Only what happened since: a moment, or how long ago.
        as_json: Whether to print JSON, one object.

    Raises:
        InputError: If there is no such folder, or ``since`` is not valid.
    """
    from cpr_nb.frames.transcripts.reading import transcripts

    seen = transcripts(folder, since=since)
    totals = _totals(seen)
    models = _records(seen.usage_df(by="model"))
    newest = _records(seen.df().head(_NEWEST))
    if as_json:
        print_json({**totals, "models": models, "newest": newest})
    else:
        print_lines([*_total_lines(totals), *_model_lines(models), *_newest_lines(newest)])


def _totals(seen: Transcripts) -> dict[str, Any]:
    conversations, messages = seen.df(), seen.messages_df()
    n_needed = min(1, len(messages))  # of no answers, the sum is 0; of unknown ones, unknown
    sums = {name: messages[name].sum(min_count=n_needed) for name in (*_TOKENS, "cost_usd")}
    return {
        "folder": seen.folder,
        "n_read_bytes": seen.n_read_bytes,
        "n_conversations": len(conversations),
        "n_messages": len(messages),
        "n_tool_calls": len(seen.tool_calls_df()),
        **{name: _plain(value) for name, value in sums.items()},
        "n_unknown_costs": int(messages["cost_usd"].isna().sum()),
        "prices_as_of": seen.prices_as_of,
    }


def _plain(value: Any) -> Any:
    """A value of a table as JSON has it: a time as a text, None if it is missing."""
    if value is None or (str(value) in _MISSING and not isinstance(value, str)):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def _records(table: Any) -> list[dict[str, Any]]:
    return [
        {name: _plain(value) for name, value in row.items()} for row in table.to_dict("records")
    ]


def _total_lines(totals: dict[str, Any]) -> list[str]:
    counts = [
        plural(totals["n_conversations"], "conversation"),
        plural(totals["n_messages"], "answer"),
        plural(totals["n_tool_calls"], "tool call"),
    ]
    tokens = (f"{_count(totals[name])} {word}" for name, word in _TOKENS.items())
    megabytes = totals["n_read_bytes"] / 1e6
    lines = [
        f"Transcripts in {totals['folder']} ({megabytes:.1f} MB were new)",
        f"  {', '.join(counts)}",
        f"  Tokens: {', '.join(tokens)}",
    ]
    cost = "unknown" if totals["cost_usd"] is None else usd_amount(totals["cost_usd"])
    unknown = totals["n_unknown_costs"]
    without = f"; {plural(unknown, 'answer')} without a known price" if unknown else ""
    as_of = totals["prices_as_of"]
    return [*lines, f"  Cost: {cost}, an estimate at the list prices of {as_of}{without}"]


def _model_lines(models: list[dict[str, Any]]) -> list[str]:
    if not models:
        return []
    rows = sorted(models, key=lambda row: -(row["cost_usd"] or 0))
    width = max(len(str(row["model"])) for row in rows)
    return ["", *(f"  {row['model'] or '?':{width}}  {_figures(row)}" for row in rows)]


def _figures(row: dict[str, Any]) -> str:
    cost = "?" if row["cost_usd"] is None else usd_amount(row["cost_usd"])
    return f"{cost:>10}  {_count(row['output_tokens'])} output tokens"


def _count(count: int | None) -> str:
    return "?" if count is None else short_count(count)


def _newest_lines(newest: list[dict[str, Any]]) -> list[str]:
    if not newest:
        return []
    lines = ["", "The newest conversations:"]
    costs = ["?" if row["cost_usd"] is None else usd_amount(row["cost_usd"]) for row in newest]
    width = max(map(len, costs))
    for row, cost in zip(newest, costs, strict=True):
        prompt = one_line(row["prompt"] or "(no prompt)", _PROMPT_CHARS)
        lines.append(f"  {_local_time(row['started_at']):16}  {cost:>{width}}  {prompt}")
    return [*lines, "", "In Python, cpr.transcripts() has them as tables."]


def _local_time(iso: str | None) -> str:
    """A time as it is here, as all lists of the command show times."""
    return "?" if iso is None else f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}"
