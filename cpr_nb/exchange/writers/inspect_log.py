"""A session as a log of Inspect AI (version 2, ``.eval``): for ``inspect view`` and its tables."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from typing import Any

from cpr_nb.exchange.session_record import SessionRecord
from cpr_nb.exchange.stream_steps import REDACTED
from cpr_nb.exchange.strict_json import strict_json
from cpr_nb.exchange.writers import inspect_sample
from cpr_nb.exchange.writers.inspect_sample import SampleWriter, model_name
from cpr_nb.model import states
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The version of the format.
_VERSION = 2
#: session state → Inspect's status; "started" for what has not ended.
_STATUS = {
    states.COMPLETED: "success",
    states.IMPORTED: "success",
    states.CANCELLED: "cancelled",
    states.ERROR: "error",
}


def write(record: SessionRecord, path: str, *, with_content: bool = False) -> None:
    """Writes a session as a log of Inspect.

    Args:
        record: The session.
        path: The log, which must not exist.
        with_content: Without effect: such a log always has the messages.
    """
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
        evaluation = _evaluation(record)
        plan = {"name": "plan", "steps": [{"solver": "claude_code"}], "config": {}}
        start = {"version": _VERSION, "eval": evaluation, "plan": plan}
        archive.writestr("_journal/start.json", strict_json(start))
        summaries = []
        for task in record.tasks():
            name = f"samples/{task.id}_epoch_1.json"
            with archive.open(name, mode="w", force_zip64=True) as member:
                summaries.append(SampleWriter(task, member).write())
        archive.writestr("summaries.json", strict_json(summaries))
        archive.writestr("header.json", strict_json(_header(record, start, summaries)))


def _evaluation(record: SessionRecord) -> dict[str, Any]:
    """What the log says about the session as a whole."""
    ids = [task.id for task in record.tasks()]
    models = Counter(task.model for task in record.tasks() if task.model)
    model = models.most_common(1)[0][0] if models else record.spec.get("options", {}).get("model")
    created = utc_iso(record.created_at_s or 0.0)
    known = {"cpr_session_id": record.id, "cpr_state": record.state, "cwd": record.cwd}
    evaluation: dict[str, Any] = {
        "eval_id": record.id,
        "run_id": record.id,
        "task_id": record.id,
        "created": created,
        "task": record.name or "cpr",
        "dataset": {"name": record.name, "samples": len(ids), "sample_ids": ids, "shuffled": False},
        "model": model_name(model),
        "config": {"epochs": 1, "max_samples": record.snapshot.head.get("max_parallel") or None},
        "packages": {"claude-code": record.cli_version} if record.cli_version else {},
        "metadata": {
            **{name: value for name, value in known.items() if value is not None},
            **({"git_commit": record.git_commit} if record.git_commit else {}),
        },
    }
    scorers = sorted({name for task in record.tasks() for name in inspect_sample.scores(task)})
    if scorers:
        evaluation["scorers"] = [{"name": name} for name in scorers]
    return evaluation


def _header(
    record: SessionRecord, start: dict[str, Any], summaries: list[dict[str, Any]]
) -> dict[str, Any]:
    status = _STATUS.get(record.state, "started")
    stats = {
        "started_at": utc_iso(record.created_at_s) if record.created_at_s else "",
        "completed_at": utc_iso(record.ended_at_s) if record.ended_at_s else "",
        "model_usage": _total_usage(summaries),
    }
    header = {**start, "status": status, "stats": stats, "results": _results(summaries)}
    if status == "error":
        said = str(record.snapshot.head.get("error") or "the session could not be run")
        message = REDACTED if record.redact else said
        header["error"] = {"message": message, "traceback": "", "traceback_ansi": ""}
    return header


def _total_usage(summaries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Counter[str]] = {}
    for summary in summaries:
        for model, usage in summary.get("model_usage", {}).items():
            total.setdefault(model, Counter()).update(usage)
    return {model: dict(usage) for model, usage in total.items()}


def _results(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[float]] = {}
    for summary in summaries:
        for name, score in summary.get("scores", {}).items():
            value = {"C": 1.0, "I": 0.0}.get(score["value"], score["value"])
            values.setdefault(name, []).append(value)
    n_completed = sum(summary["completed"] and "error" not in summary for summary in summaries)
    return {
        "total_samples": len(summaries),
        "completed_samples": n_completed,
        "scores": [_score(name, given, len(summaries)) for name, given in values.items()],
    }


def _score(name: str, values: list[float], n_samples: int) -> dict[str, Any]:
    metric = "accuracy" if name == "check" else "mean"
    return {
        "name": name,
        "scorer": name,
        "scored_samples": len(values),
        "unscored_samples": n_samples - len(values),
        "metrics": {metric: {"name": metric, "value": math.fsum(values) / len(values)}},
    }
