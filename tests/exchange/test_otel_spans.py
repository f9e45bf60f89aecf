"""OpenTelemetry spans, read by OpenTelemetry's own parser of OTLP JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exchange.fixed_session import write_fixed_session
from opentelemetry.proto_json.trace.v1.trace import Span, TracesData

from cpr_nb.exchange.exports import export_session
from cpr_nb.store.read import read_session

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"


def read_spans(path: Path) -> list[Span]:
    """The spans in a file, once all that the protocol asks of them is checked."""
    spans: list[Span] = []
    for line in path.read_text().splitlines():
        data = TracesData.from_json(line)
        # What the parser does not know it leaves out: so there is nothing of that kind.
        assert data.to_dict() == json.loads(line)
        for of_resource in data.resource_spans:
            assert of_resource.schema_url == SCHEMA_URL
            for of_scope in of_resource.scope_spans:
                assert of_scope.schema_url == SCHEMA_URL
                spans += of_scope.spans
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans), "two spans have one id"
    for span in spans:
        assert len(span.trace_id) == 16 and any(span.trace_id)
        assert len(span.span_id) == 8 and any(span.span_id)
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        if span.parent_span_id:
            parent = by_id.get(span.parent_span_id)
            assert parent is None or parent.trace_id == span.trace_id
            assert parent is None or parent.start_time_unix_nano <= span.start_time_unix_nano
    return spans


def attributes(span: Span) -> dict[str, Any]:
    """The attributes of a span, as plain values."""
    plain = {}
    for one in span.attributes:
        value = one.value
        assert value is not None
        found = [value.string_value, value.bool_value, value.int_value, value.double_value]
        plain[one.key] = next((v for v in found if v is not None), value.array_value)
    return plain


def tree(spans: list[Span]) -> dict[str, list[str]]:
    """The name of each span → the names of those below it, in the order of the file."""
    names = {span.span_id: str(span.name) for span in spans}
    below: dict[str, list[str]] = {}
    for span in spans:
        below.setdefault(names.get(span.parent_span_id or b"", ""), []).append(str(span.name))
    return below


@pytest.fixture
def fixed(tmp_path: Path) -> Path:
    """The fixed session, exported with its content."""
    snapshot = read_session(str(write_fixed_session(tmp_path)))
    return export_session(snapshot, "otel", tmp_path / "spans", with_content=True)


def test_subagents_are_below_their_calls(fixed: Path) -> None:
    spans = read_spans(fixed)
    assert len({span.trace_id for span in spans}) == 4  # those that started
    nested = [span for span in spans if span.trace_id == spans[8].trace_id]
    assert tree(nested) == {
        "": ["invoke_agent claude-code"],
        "invoke_agent claude-code": ["chat claude-x", "execute_tool Agent", "chat claude-x"],
        "execute_tool Agent": 2 * ["invoke_agent subagent"],
        "invoke_agent subagent": ["chat claude-x", "execute_tool Agent", "chat claude-x"],
    }
    root = next(span for span in nested if not span.parent_span_id)
    assert root.status is not None and root.status.code.value == 2
    assert root.status.message == "the check <1>"
    assert attributes(root)["error.type"] == "check_failed"


def test_tokens_include_the_cached_ones_and_what_is_unknown_is_missing(fixed: Path) -> None:
    chats = [span for span in read_spans(fixed) if span.name == "chat claude-x"]
    by_id = {attributes(span)["gen_ai.response.id"]: attributes(span) for span in chats}
    assert by_id["m1"]["gen_ai.usage.input_tokens"] == 130
    assert by_id["m1"]["gen_ai.usage.cache_read.input_tokens"] == 100
    assert by_id["m1"]["gen_ai.usage.output_tokens"] == 5
    assert "gen_ai.usage.output_tokens" not in by_id["m10"]
    said = json.loads(by_id["m1"]["gen_ai.output.messages"])[0]
    assert [part["type"] for part in said["parts"]] == ["reasoning", "tool_call"]
    assert said["finish_reason"] == "tool_call"


def test_the_same_session_has_the_same_ids(fixed: Path, tmp_path: Path) -> None:
    snapshot = read_session(str(next(tmp_path.glob("session-*"))))
    again = export_session(snapshot, "otel", tmp_path / "again")
    assert [s.span_id for s in read_spans(again)] == [s.span_id for s in read_spans(fixed)]
