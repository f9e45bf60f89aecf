"""Sessions for the tables: many small ones, and a few with long streams."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cpr_nb.model import outcome, record, states
from cpr_nb.model.record import first_head
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.times import utc_iso
from cpr_nb.store.write import StatusWriter, dump

_BEGAN_AT_S = 1_750_000_000
_RECORDINGS = Path(__file__).resolve().parents[1] / "tests" / "model" / "recordings"
# The texts are code and prose, with quotes and newlines. Some contain other characters than
# ASCII.
_TEXT = (
    "def return self import value path error test file line None True session task the of and to "
    "in is for with it as on be at by from or an not events stream result reads writes 'name' "
    '"quoted" {x} [i] (n) += == -> #'
)
_WORDS = _TEXT.split()
_RARE_WORDS = ["—", "✓", "é", "→"]
_RARE = 0.2


def write_session(
    results: Path, number: int, n_tasks: int, streams: Iterator[bytes] | None = None
) -> None:
    """Writes an ended session: all files that tables read.

    Args:
        results: The results directory.
        number: The number of the session; a higher one is newer.
        n_tasks: How many tasks it has.
        streams: The streams of its tasks; tasks beyond them get none.
    """
    paths, spec, tasks = write_status(results, number, n_tasks)
    Path(paths.session).write_bytes(dump({**spec, "tasks": tasks}))
    for task in tasks:
        Path(paths.answer(task["id"])).write_text("I have found some bugs, see below.\n" * 8)
        stream = next(streams, None) if streams is not None else None
        if stream is not None:
            Path(paths.stream(task["id"])).write_bytes(stream)


def write_status(
    results: Path, number: int, n_tasks: int
) -> tuple[SessionPaths, dict[str, Any], list[dict[str, Any]]]:
    """Writes the status.json of an ended session with the runner's own writer.

    Returns:
        Its paths, its spec, its tasks.
    """
    random_source = random.Random(number)
    session_id = _uuid(random_source)
    paths = SessionPaths(str(results / f"session-{session_id}"))
    Path(paths.root).mkdir()
    start_s = _BEGAN_AT_S + number
    spec = {
        "session_id": session_id,
        "name": f"review-{number}",
        "start_time": start_s,
        "created_at": utc_iso(start_s),
        "cwd": str(results),
        "max_parallel": 8,
        "executor": "local",
    }
    tasks = [
        {
            "id": _uuid(random_source),
            "prompt": f"Review module_{task}.py for bugs, write what you find.",
        }
        for task in range(n_tasks)
    ]
    head = first_head(spec, n_tasks)
    head |= {"overall_status": states.COMPLETED, "state": states.COMPLETED, "n_pending": 0}
    head |= {"completed": n_tasks, "successful": n_tasks, "n_succeeded": n_tasks, "n_failed": 0}
    head |= {"end_time": start_s + 5, "ended_at": utc_iso(start_s + 5)}
    head |= {"duration_s": 5.0, "cost_usd": 0.01}
    bases = [record.base_fields(n, task["id"], task["prompt"]) for n, task in enumerate(tasks, 1)]
    writer = StatusWriter(paths.status, head, bases)
    for task in range(n_tasks):
        writer.set_task(task, _ended_fields(random_source, start_s))
    writer.write()
    return paths, spec, tasks


def _ended_fields(random_source: random.Random, start_s: int) -> dict[str, Any]:
    return record.ended_fields(
        record.running_fields(1, _uuid(random_source), utc_iso(start_s)),
        outcome.Outcome(states.SUCCEEDED, "completed"),
        outcome.Exit(0),
        None,
        ended_at=utc_iso(start_s + 5),
        duration_s=5.0,
        extra={"cost_usd": 0.001, "peak_rss_bytes": 180_000_000, "model": "claude-opus-5-5"},
    )


def streams(n: int, n_events: int) -> Iterator[bytes]:
    """Streams of stream-json: recorded events with texts of many lengths.

    Args:
        n: How many.
        n_events: How many events each has; an event has about 900 bytes.
    """
    events = [
        json.loads(line)
        for path in sorted(_RECORDINGS.glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    for number in range(n):
        yield b"".join(dump(event) + b"\n" for event in _Agent(events, number).run(n_events))


class _Agent:
    """Makes the events of one stream.

    Args:
        events: The recorded events.
        number: The number of the stream.
    """

    def __init__(self, events: list[dict[str, Any]], number: int) -> None:
        self._chance = random.Random(number)
        self._conversation = _uuid(self._chance)
        self._at_s = _BEGAN_AT_S + self._chance.random() * 1e6
        self._begin = [e for e in events if e.get("subtype") == "init"]
        self._end = [e for e in events if e["type"] == "result" and e["subtype"] == "success"]
        self._texts = [e for e in events if _holds(e, "assistant", "text")]
        self._calls = [e for e in events if _holds(e, "assistant", "tool_use")]
        self._answers = [
            e
            for e in events
            if _holds(e, "user", "tool_result") and isinstance(e.get("tool_use_result"), dict)
        ]

    def run(self, n_events: int) -> Iterator[dict[str, Any]]:
        """The events: the start, then texts and tool calls, then the result."""
        yield self._of(self._begin)
        n = 2
        while n < n_events:
            if self._chance.random() < 0.25 or n + 1 == n_events:
                event = self._of(self._texts)
                self._set(event, n, {"type": "text", "text": self._words(300)})
                yield event
                n += 1
            else:
                yield from self._call(n)
                n += 2
        yield self._of(self._end)

    def _call(self, n: int) -> Iterator[dict[str, Any]]:
        event = self._of(self._calls)
        [block] = [b for b in event["message"]["content"] if b["type"] == "tool_use"]
        tool_input = {
            key: self._words(200) if self._chance.random() < 0.5 else value
            for key, value in block["input"].items()
        }
        self._set(event, n, {**block, "id": f"toolu_{n:08}", "input": tool_input})
        yield event
        answer, text = self._of(self._answers), self._words(220)
        content = {"tool_use_id": f"toolu_{n:08}", "type": "tool_result", "content": text}
        answer["message"] = {"role": "user", "content": [content]}
        if "stdout" in answer["tool_use_result"]:  # the CLI repeats the text here
            answer["tool_use_result"] = {**answer["tool_use_result"], "stdout": text}
        yield answer

    def _of(self, recorded: list[dict[str, Any]]) -> dict[str, Any]:
        event = dict(self._chance.choice(recorded))
        event |= {"session_id": self._conversation, "uuid": _uuid(self._chance)}
        if "timestamp" in event:
            self._at_s += self._chance.random() * 5
            time = datetime.fromtimestamp(self._at_s, UTC).isoformat(timespec="milliseconds")
            event["timestamp"] = time.replace("+00:00", "Z")
        return event

    def _set(self, event: dict[str, Any], n: int, block: dict[str, Any]) -> None:
        event["message"] = {**event["message"], "id": f"msg_{n:08}", "content": [block]}

    def _words(self, mean_bytes: int) -> str:
        size = min(20.0 * mean_bytes, self._chance.expovariate(1 / mean_bytes))
        has_rare_word = self._chance.random() < _RARE
        words = [self._chance.choice(_RARE_WORDS)] if has_rare_word else []
        while size > 0:
            words.append(self._chance.choice(_WORDS))
            size -= len(words[-1]) + 1
            if self._chance.random() < 0.1:
                words.append("\n")
        return " ".join(words)


def _holds(event: dict[str, Any], kind: str, block: str) -> bool:
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    blocks = content if isinstance(content, list) else []
    return event["type"] == kind and any(b.get("type") == block for b in blocks)


def _uuid(random_source: random.Random) -> str:
    return str(uuid.UUID(int=random_source.getrandbits(128)))
