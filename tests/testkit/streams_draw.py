"""Streams as an agent, a new release of the CLI or a full disk could leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

RECORDINGS = Path(__file__).parents[1] / "model" / "recordings"
#: What the real CLI wrote.
STREAMS = {path.stem: path.read_bytes() for path in sorted(RECORDINGS.glob("*.jsonl"))}


def lines(*events: dict[str, Any]) -> bytes:
    """A stream of these events."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def answer(id_: str, tokens: int, model: str = "opus", agent: str | None = None) -> dict[str, Any]:
    message = {"id": id_, "model": model, "usage": {"input_tokens": tokens}, "content": []}
    return {"type": "assistant", "message": message, "parent_tool_use_id": agent}


def result(**fields: Any) -> dict[str, Any]:
    return {"type": "result", "is_error": False, **fields}


def model_usage(tokens: int, cost_usd: float) -> dict[str, Any]:
    names = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    return {**dict.fromkeys(names, tokens), "costUSD": cost_usd}


def message(kind: str, content: Any) -> dict[str, Any]:
    """An event with content blocks."""
    message = {"role": kind, "model": "opus", "content": content}
    return {"type": kind, "message": message, "timestamp": "2026-11-22T05:46:29.811Z"}


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
IDS = st.sampled_from(["t1", "t2"]) | ODD
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "tool_use", "tool_result", "image", "news"])},
    optional={
        "id": IDS,
        "tool_use_id": IDS,
        "name": st.just("Bash") | ODD,
        "input": st.just({"command": "ls"}) | ODD,
        "content": ODD | st.just([{"type": "text", "text": "so"}, {"type": "image"}, 1]),
        "text": ODD,
        "is_error": ODD,
    },
)
DENIALS = st.fixed_dictionaries(
    {}, optional={"tool_name": st.just("Bash") | ODD, "tool_input": ODD | st.just({"command": "a"})}
)
FIGURE = st.integers(0, 1000) | ODD
MODELS = st.dictionaries(
    st.sampled_from(["opus", "haiku"]),
    st.builds(model_usage, FIGURE, FIGURE) | st.just(model_usage(7, 0.5)) | ODD,
)
EVENTS = st.one_of(
    st.builds(answer, st.sampled_from(["m1", "m2"]), FIGURE, st.sampled_from(["opus", "haiku"])),
    st.fixed_dictionaries(
        {"type": st.just("result")},
        optional={
            "total_cost_usd": FIGURE,
            "modelUsage": MODELS | ODD,
            "model_usage_since_last_result": MODELS | ODD,
            "permission_denials": st.lists(DENIALS | ODD, max_size=3) | ODD,
            "usage": st.fixed_dictionaries({"input_tokens": FIGURE}) | ODD,
        },
    ),
    st.fixed_dictionaries({"type": st.text(max_size=5), "message": ODD, "usage": ODD}),
    st.builds(message, st.sampled_from(["assistant", "user"]), st.lists(BLOCKS | ODD, max_size=3)),
    st.fixed_dictionaries(
        {"type": st.just("system"), "subtype": st.just("permission_denied")},
        optional={"tool_use_id": IDS, "tool_name": ODD},
    ),
)
#: Lines that are events, of types that nobody knows yet too.
EVENT_LINES = st.lists(EVENTS.map(lambda e: json.dumps(e).encode()), max_size=8)
JUNK = st.lists(st.binary(max_size=20), max_size=3)


@st.composite
def any_stream(draw: st.DrawFn, junk: st.SearchStrategy[list[bytes]] = JUNK) -> bytes:
    """Lines of recordings, made ones and junk, cut at any byte."""
    recorded = STREAMS[draw(st.sampled_from(sorted(STREAMS)))].splitlines()
    some = draw(st.lists(st.sampled_from(recorded), max_size=4)) if recorded else []
    whole = b"\n".join(draw(st.permutations([*draw(EVENT_LINES), *some, *draw(junk)]))) + b"\n"
    return whole[: draw(st.integers(0, len(whole)))]
