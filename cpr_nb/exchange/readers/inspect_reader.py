"""Reads logs of Inspect AI, ``.eval`` and ``.json``: each becomes a session, each sample a task."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from cpr_nb.exchange.imported_session import (
    ImportedSession,
    ImportedTask,
    fit_task_id,
    session_id_of,
)
from cpr_nb.exchange.readers.inspect_archive import InspectArchive
from cpr_nb.exchange.readers.inspect_messages import (
    SampleStream,
    as_dict,
    as_list,
    cli_model,
    content_text,
    result_line,
    tokens_of,
)
from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.model.json_values import integer, number, text_or_none
from cpr_nb.store.times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Each log is a session of its own.
IS_ONE_FILE_A_TASK = False
_ZIP = b"PK\x03\x04"
_HEADER, _START = "header.json", "_journal/start.json"
_SAMPLES = "samples/"
_VERSION = 2
#: Inspect's limit → our outcome and reason.
_LIMITS = {
    "time": (states.TIMED_OUT, "timeout"),
    "working": (states.TIMED_OUT, "timeout"),
    "cost": (states.FAILED, "budget"),
    "token": (states.FAILED, "budget"),
    "message": (states.FAILED, "max_turns"),
    "turn": (states.FAILED, "max_turns"),
    "context": (states.FAILED, "prompt_too_long"),
    "operator": (states.CANCELLED, "cancelled"),
}
#: What Inspect's letters count: correct, incorrect, partly correct, no answer.
_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}


def is_log(path: str, beginning: bytes) -> bool:
    """Whether a file is a log of Inspect.

    Args:
        path: The file.
        beginning: Its first bytes.

    Example:
        >>> is_log("a.json", b'{"version": 2, "status": "success", "eval": {"run_id": "a"')
        True
    """
    if beginning.startswith(_ZIP):
        return path.endswith(".eval")
    return (
        re.match(rb'\s*\{\s*"version"\s*:\s*\d', beginning) is not None and b'"eval"' in beginning
    )


def read_log(paths: list[str], digest: str) -> ImportedSession:
    """Reads a log. Of an ``.eval``, no more than one sample is in memory.

    Args:
        paths: The log, alone.
        digest: The SHA-256 of what it is read from.

    Raises:
        InputError: If it can't be read.
    """
    path = paths[0]
    if path.endswith(".eval"):
        with InspectArchive(path) as archive:
            header = archive.read(_HEADER if _HEADER in archive.names else _START)
        samples = _archived_samples(path, _order(header))
    else:
        header = _whole(path)
        order = _order(header)
        listed = map(as_dict, as_list(as_dict(header).get("samples")))
        samples = iter(sorted(listed, key=lambda one: order.get(str(one.get("id")), len(order))))
    evaluation = as_dict(as_dict(header).get("eval"))
    if as_dict(header).get("version") != _VERSION or not evaluation:
        words = f"it is no log of Inspect of version {_VERSION}; `inspect log convert` makes one"
        raise InputError(words, path)
    parts = (evaluation.get(name) for name in ("eval_id", "run_id", "task_id", "created"))
    metadata, packages = as_dict(evaluation.get("metadata")), as_dict(evaluation.get("packages"))
    return ImportedSession(
        id=session_id_of("inspect", "/".join(str(part) for part in parts)),
        source="inspect",
        digest=digest,
        name=text_or_none(evaluation.get("task")),
        created_at_s=parse_iso(evaluation.get("created")) or Path(path).stat().st_mtime,
        tasks=_tasks(samples),
        model=cli_model(evaluation.get("model")),
        cwd=text_or_none(metadata.get("cwd")) or "",
        cli_version=text_or_none(packages.get("claude-code")),
    )


def _whole(path: str) -> Any:
    try:
        with Path(path).open("rb") as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"can't be read as a log of Inspect: {error}", path) from None


def _order(header: Any) -> dict[str, int]:
    """The order of the samples: id → its place in the data set. Logs have them as they ended."""
    dataset = as_dict(as_dict(as_dict(header).get("eval")).get("dataset"))
    return {str(one): i for i, one in enumerate(as_list(dataset.get("sample_ids")))}


def _archived_samples(path: str, order: dict[str, int]) -> Iterator[dict[str, Any]]:
    with InspectArchive(path) as archive:
        names = [n for n in archive.names if n.startswith(_SAMPLES) and n.endswith(".json")]
        ids = {name: name.removeprefix(_SAMPLES).rpartition("_epoch_")[0] for name in names}
        for name in sorted(names, key=lambda name: order.get(ids[name], len(order))):
            yield as_dict(archive.read(name))


def _tasks(samples: Iterable[dict[str, Any]]) -> Iterator[ImportedTask]:
    ids: set[str] = set()
    for sample in samples:
        epoch = integer(sample.get("epoch")) or 1
        name = str(sample.get("id", "")) + (f"_epoch_{epoch}" if epoch > 1 else "")
        yield _task(sample, fit_task_id(name, ids))


def _task(sample: dict[str, Any], task_id: str) -> ImportedTask:
    outcome, reason, error = _outcome(sample)
    metadata = as_dict(sample.get("metadata"))
    conversation_id = text_or_none(metadata.get("cpr_conversation_id"))
    conversation_id = conversation_id or text_or_none(sample.get("uuid")) or task_id
    answer = _answer(sample)
    started_at_s, ended_at_s = (parse_iso(sample.get(n)) for n in ("started_at", "completed_at"))
    return ImportedTask(
        id=task_id,
        prompt=_prompt(sample),
        outcome=outcome,
        reason=reason,
        events=_events(sample, conversation_id, answer, is_error=outcome != states.SUCCEEDED),
        answer=answer,
        error=error,
        started_at_s=started_at_s,
        ended_at_s=ended_at_s,
        duration_s=number(sample.get("total_time")),
        figures=_figures(sample, conversation_id),
    )


def _events(
    sample: dict[str, Any], conversation_id: str, answer: str | None, *, is_error: bool
) -> Iterator[dict[str, Any]]:
    model = cli_model(next(iter(as_dict(sample.get("model_usage"))), None))
    yield {"type": "system", "subtype": "init", "model": model, "session_id": conversation_id}
    yield from SampleStream(sample, conversation_id).lines()
    yield result_line(sample, answer, is_error=is_error, conversation_id=conversation_id)


def _outcome(sample: dict[str, Any]) -> tuple[str, str, str]:
    """How a sample ended, why, and the error in words."""
    metadata, error = as_dict(sample.get("metadata")), as_dict(sample.get("error"))
    said = text_or_none(error.get("message")) or ""
    outcome, reason = metadata.get("cpr_outcome"), metadata.get("cpr_reason")
    if outcome in states.OUTCOMES:
        words = said.removeprefix(str(outcome)).removeprefix(f": {reason}").removeprefix(": ")
        return outcome, reason if reason in states.REASONS else "unknown", words
    if outcome is not None:  # a state: it had not ended
        return states.SKIPPED if outcome == states.PENDING else states.LOST, "unknown", ""
    limit = as_dict(sample.get("limit"))
    if limit:
        kind = str(limit.get("type"))
        outcome, reason = _LIMITS.get(kind, (states.FAILED, "unknown"))
        return outcome, reason, text_or_none(limit.get("reason")) or f"it reached its {kind} limit"
    if error:
        return states.FAILED, "unknown", said
    return states.SUCCEEDED, "completed", ""


def _prompt(sample: dict[str, Any]) -> str:
    given = sample.get("input")
    if isinstance(given, list):
        texts = [
            content_text(message.get("content"))
            for message in map(as_dict, given)
            if message.get("role") == "user"
        ]
        return "\n\n".join(texts)
    return given if isinstance(given, str) else ""


def _answer(sample: dict[str, Any]) -> str | None:
    output = as_dict(sample.get("output"))
    choices = as_list(output.get("choices"))
    if not choices:
        return None
    completion = text_or_none(output.get("completion"))
    return completion or content_text(as_dict(as_dict(choices[0]).get("message")).get("content"))


def _figures(sample: dict[str, Any], conversation_id: str) -> dict[str, Any]:
    metadata, usages = as_dict(sample.get("metadata")), as_dict(sample.get("model_usage"))
    figures: dict[str, Any] = {"conversation_id": conversation_id}
    for usage in usages.values():
        for name, count in tokens_of(usage).items():
            figures[name] = figures.get(name, 0) + count
    costs = [number(as_dict(usage).get("total_cost")) for usage in usages.values()]
    known = [cost for cost in costs if cost is not None]
    figures["cost_usd"] = number(metadata.get("cpr_cost_usd"))
    if figures["cost_usd"] is None and known and len(known) == len(costs):
        figures["cost_usd"] = sum(known)
    figures["model"] = cli_model(next(iter(usages), None))
    figures["num_turns"] = integer(metadata.get("cpr_num_turns"))
    figures["score"] = _score(as_dict(sample.get("scores")))
    return {name: value for name, value in figures.items() if value is not None}


def _score(scores: dict[str, Any]) -> float | None:
    """The first score that is a number, or a letter that counts as one."""
    for score in scores.values():
        value = as_dict(score).get("value")
        value = float(value) if isinstance(value, bool) else value
        count = _LETTERS.get(value) if isinstance(value, str) else number(value)
        if count is not None:
            return count
    return None
