"""One session of the real CLI, in every format, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from exchange.rich_session import ODD_TEXT, SECRET, run_rich_session
from exchange.test_ci_reports import ctrf, outcomes
from exchange.test_otel_spans import attributes, read_spans

import cpr_nb as cpr

COLUMNS = [
    *("task_num", "prompt", "outcome", "ok", "reason", "error", "cost_usd", "result"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("started_at", "ended_at", "duration_s", "conversation_id", "n_tool_calls"),
]
CALL_COLUMNS = [
    *("task_id", "tool", "target", "started_at", "ended_at", "is_error", "input", "output"),
    "parent_tool_use_id",
]


@pytest.mark.real_cli
def test_a_real_session_in_every_format(
    offline_env: dict[str, str], in_env: Callable[[dict[str, str]], None], tmp_path: Path
) -> None:
    in_env(offline_env)
    session = run_rich_session()
    _check_atif(session, tmp_path)
    _check_reports(session, tmp_path)
    _check_spans(session, tmp_path)


def _check_atif(session: cpr.Session, tmp_path: Path) -> None:
    """It comes back with the same tables, once."""
    folder = session.export("atif", tmp_path / "atif")
    (imported,) = cpr.import_sessions(folder, results_dir=tmp_path / "there")
    assert imported.state == "imported" and len(imported) == 5
    before, after = (
        one.tasks_df(full=True).set_index("task_id")[COLUMNS] for one in (session, imported)
    )
    assert before.equals(after), before.compare(after)
    calls = [one.tool_calls_df()[CALL_COLUMNS] for one in (session, imported)]
    assert len(calls[0]) == 4 and calls[0].equals(calls[1])
    usage = [one.usage_df().drop(columns="session_id") for one in (session, imported)]
    assert usage[0].equals(usage[1])
    again = cpr.import_sessions(folder, results_dir=tmp_path / "there")
    assert [one.id for one in again] == [imported.id]
    assert len(list((tmp_path / "there").glob("session-*"))) == 1
    redacted = session.export("atif", tmp_path / "redacted", redact=True)
    assert all(SECRET not in path.read_text() for path in redacted.iterdir())
    assert any(SECRET in path.read_text() for path in folder.iterdir())


def _check_reports(session: cpr.Session, tmp_path: Path) -> None:
    junit, report = session.export("junit", tmp_path / "j"), session.export("ctrf", tmp_path / "c")
    good, bad = (
        dict.fromkeys(("sub", "tools", "odd"), ""),
        dict.fromkeys(("checked", "broken"), "Failure"),
    )
    assert outcomes(junit) == {**good, **bad}
    tests = {test["name"]: test for test in ctrf(report)["tests"]}
    assert tests["odd"]["extra"]["answer"].rstrip("\n") == ODD_TEXT
    cases = {case.get("name"): case for case in ElementTree.parse(junit).iter("testcase")}
    assert "🚀 <b> & ]]> \\x1b[31mred" in (cases["odd"].findtext("system-out") or "")
    for to in ("junit", "ctrf"):
        assert SECRET in session.export(to, tmp_path / "whole").read_text()
        hidden = session.export(to, tmp_path / "hidden", redact=True).read_text()
        assert SECRET not in hidden and "scripted failure" not in hidden


def _check_spans(session: cpr.Session, tmp_path: Path) -> None:
    whole = session.export("otel", tmp_path / "whole", with_content=True)
    usual = session.export("otel", tmp_path / "usual")
    assert SECRET in whole.read_text()
    assert SECRET not in usual.read_text() and "scripted failure" not in usual.read_text()
    spans = read_spans(usual)
    assert [span.name for span in read_spans(whole)] == [span.name for span in spans]
    tasks = session.tasks_df(full=True).set_index("task_id")
    roots = [attributes(span) for span in spans if not span.parent_span_id]
    assert len(roots) == 5
    for fields in roots:
        row = tasks.loc[fields["cpr.task_id"]]
        kinds = ["input_tokens", "cache_read_tokens", "cache_write_tokens"]
        assert fields["gen_ai.usage.input_tokens"] == row[kinds].sum()
        assert fields["gen_ai.usage.output_tokens"] == row["output_tokens"]
        assert fields["cpr.outcome"] == row["outcome"]
    names = [str(span.name) for span in spans]
    assert sum(name.startswith("execute_tool") for name in names) == 4
    assert "invoke_agent subagent" in names
