"""What the tables say: groups, costs, events, filters, and the command."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from testkit.command import console_script
from testkit.transcript_lines import call

import cpr_nb as cpr

from .conftest import Write

MILLION = 1_000_000
EACH_A_MILLION = {
    "input_tokens": MILLION,
    "cache_read_input_tokens": MILLION,
    "cache_creation_input_tokens": MILLION,
}
ONE_HOUR = {"cache_creation": {"ephemeral_1h_input_tokens": MILLION}}
SHORT = {"input_tokens": 1000, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}


def cost(write: Write, projects: Path, model: str, usage: dict[str, Any], **fields: Any) -> float:
    write("s1").answer("m1", model=model, output=MILLION, usage=usage, **fields)
    return float(cpr.transcripts(projects).messages_df().cost_usd[0])


@pytest.mark.parametrize(
    ("model", "usage", "expected"),
    [
        ("claude-opus-4-8", EACH_A_MILLION, 5 + 25 + 6.25 + 0.5),
        ("claude-opus-4-8", {**EACH_A_MILLION, **ONE_HOUR}, 5 + 25 + 10 + 0.5),
        ("claude-opus-5-5[1m]", EACH_A_MILLION, 4 + 20 + 5 + 0.2),
        ("claude-sonnet-4-5-20250929", SHORT, 0.003 + 15),
        ("claude-sonnet-4-5-20250929", EACH_A_MILLION, 6 + 22.5 + 7.5 + 0.6),
        ("claude-haiku-5-5", SHORT, 0.0001 + 0.5),
        ("claude-haiku-5-5", EACH_A_MILLION, 0.5 + 2.5 + 0.625 + 0.05),
        (
            "claude-haiku-4-5",
            {**SHORT, "server_tool_use": {"web_search_requests": 3}},
            0.001 + 5 + 0.03,
        ),
    ],
    ids=["usual", "1h", "context", "date", "long", "short haiku", "long haiku", "searches"],
)
def test_costs_at_list_price(
    write: Write, projects: Path, model: str, usage: dict[str, Any], expected: float
) -> None:
    assert cost(write, projects, model, usage) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("at", "price"), [("2026-10-06T23:59:59.000Z", 0.2), ("2026-10-07T00:00:00.000Z", 0.1)]
)
def test_a_price_counts_from_its_day(write: Write, projects: Path, at: str, price: float) -> None:
    usage = {**SHORT, "input_tokens": 0, "cache_read_input_tokens": MILLION}
    found = cost(write, projects, "claude-sonnet-5-5", usage, timestamp=at)
    assert found == pytest.approx(10 + price)


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("another-model", SHORT),
        ("us.anthropic.claude-opus-4-8-v1:0", SHORT),
        ("claude-opus-4-8", {**SHORT, "speed": "fast"}),
        ("claude-opus-4-8", {**SHORT, "input_tokens": None}),
    ],
    ids=["another", "another provider", "fast", "unknown tokens"],
)
def test_what_has_no_price_has_no_cost(
    write: Write, projects: Path, model: str, usage: dict[str, Any]
) -> None:
    main = write("s1")
    main.answer("m1", model=model, usage=usage)
    main.answer("m2", model="claude-opus-4-8", usage=SHORT)
    seen = cpr.transcripts(projects)
    assert seen.messages_df().cost_usd.isna().tolist() == [True, False]
    (row,) = seen.df(full=True).itertuples()
    assert row.n_unknown_costs == 1
    assert row.cost_usd == pytest.approx(0.00525)
    assert seen.usage_df(by="model").n_unknown_costs.sum() == 1


def test_usage_in_groups(write: Write, projects: Path) -> None:
    main = write("s1")
    main.answer("m1", output=1, model="claude-opus-4-8", timestamp="2026-11-27T23:59:59.999Z")
    main.answer("m2", output=2, model="claude-opus-4-8", timestamp="2026-11-28T00:00:00.000Z")
    other = write("s2")
    other.answer("m3", output=4, cwd="/w/other", timestamp="2026-11-28T09:00:00.000Z")
    seen = cpr.transcripts(projects)
    by_day = seen.usage_df(by="day")
    assert by_day.day.dt.strftime("%d").tolist() == ["27", "28"]
    assert by_day.output_tokens.tolist() == [1, 6]
    by_both = seen.usage_df(by=["project", "model"])
    assert by_both[["project", "model", "output_tokens"]].values.tolist() == [
        ["/w/other", "claude-sonnet-4-6", 4],
        ["/w/project", "claude-opus-4-8", 3],
    ]
    assert seen.usage_df().output_tokens.sum() == 7


@pytest.mark.parametrize("by", ["week", [], ["day", "day"]], ids=["unknown", "none", "twice"])
def test_groups_that_do_not_exist(write: Write, projects: Path, by: Any) -> None:
    with pytest.raises(cpr.InputError, match=r"by: .*day, project, model"):
        cpr.transcripts(projects).usage_df(by=by)


def test_since(write: Write, projects: Path) -> None:
    old, new = write("old"), write("new")
    old.answer("m1", call("c1"), timestamp="2026-01-01T00:00:00.000Z")
    new.answer("m2", call("c2"), timestamp="2026-11-01T00:00:00.000Z")
    seen = cpr.transcripts(projects, since="2026-06-01")
    assert seen.df().conversation_id.tolist() == ["new"]
    assert seen.messages_df().message_id.tolist() == ["m2"]
    assert len(seen.tool_calls_df()) == len(seen.usage_df()) == len(seen.events_df()) == 1
    with pytest.raises(cpr.InputError, match="since"):
        cpr.transcripts(projects, since="soon")


def test_events_show_each_line_once(write: Write, projects: Path) -> None:
    first = write("first")
    first.user("Do it.")
    first.answer("m1", {"type": "text", "text": "Reading."}, call("c1", "Bash", command="ls"))
    first.result("c1", "a.py")
    first.line("file-history-snapshot", snapshot={})
    fork = write("fork")
    fork.copy_from(first, requestSessionId="first")
    fork.answer("m2")
    seen = cpr.transcripts(projects)
    events = seen.events_df()
    rows = events[["conversation_id", "type", "subtype", "tool", "text"]]
    assert rows.fillna("").values.tolist() == [
        ["first", "user", "text", "", "Do it."],
        ["first", "assistant", "text", "", "Reading."],
        ["first", "assistant", "tool_use", "Bash", '{"command":"ls"}'],
        ["first", "user", "tool_result", "Bash", "a.py"],
        ["fork", "assistant", "text", "", "done"],
    ]
    assert seen.events_df("fork").text.tolist() == [*events.text[:4], "done"]
    assert seen.events_df("fir", types="user", columns="text").values.tolist() == [
        ["Do it."],
        ["a.py"],
    ]
    assert seen.events_df(types="file-history-snapshot").type.tolist() == ["file-history-snapshot"]
    for wrong in ({"conversation": "f"}, {"conversation": "x"}, {"columns": "words"}):
        with pytest.raises(cpr.InputError):
            seen.events_df(**wrong)


def test_events_say_what_a_rewind_took_back(write: Write, projects: Path) -> None:
    main = write("s1")
    start = main.user("Do it.")
    main.answer("m1", call("c1", "Agent"))
    main.result("c1", toolUseResult={"agentId": "a1"})
    write("s1", agent="a1").answer("m2", {"type": "text", "text": "from the agent"})
    main.rewind(start)
    main.answer("m3", {"type": "text", "text": "again"})
    events = cpr.transcripts(projects).events_df().set_index("text")
    assert events.is_current_branch["Do it."]
    assert not events.is_current_branch["from the agent"]
    assert events.parent_tool_use_id["from the agent"] == "c1"
    assert events.is_current_branch["again"]


def cpr_import(*words: str) -> subprocess.CompletedProcess[str]:
    command = [console_script(), "import", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_shows_totals(write: Write, projects: Path) -> None:
    main = write("s1")
    main.user("Mend the \x1b[31mtest.")
    main.answer("m1", call("c1"), model="claude-opus-4-8", usage=SHORT, output=1000)
    main.answer("m2", model="another-model", usage=SHORT)
    shown = cpr_import(str(projects))
    assert shown.returncode == 0, shown.stderr
    assert "1 conversation, 2 answers, 1 tool call" in shown.stdout
    assert "USD 0.03, an estimate at the list prices of 2026-10-24" in shown.stdout
    assert "1 answer without a known price" in shown.stdout
    assert re.search(r"\n  \d{4}-\d\d-\d\d \d\d:\d\d  USD 0.03  Mend the", shown.stdout)
    assert "\x1b" not in shown.stdout
    totals = json.loads(cpr_import(str(projects), "--json", "--since", "2026-11-20").stdout)
    assert totals["cost_usd"] == pytest.approx(0.03)
    assert [row["model"] for row in totals["models"]] == ["another-model", "claude-opus-4-8"]
    assert totals["newest"][0]["prompt"].startswith("Mend the")


def test_the_command_where_no_figure_is_known(write: Write, projects: Path) -> None:
    write("s1").user("Do it.")
    nothing = json.loads(cpr_import(str(projects), "--json").stdout)
    assert (nothing["n_messages"], nothing["output_tokens"], nothing["models"]) == (0, 0, [])
    assert "1 conversation, 0 answers" in cpr_import(str(projects)).stdout
    unknown = dict.fromkeys((*SHORT, "input_tokens", "output_tokens"))
    write("s2").answer("m1", model="another-model", usage=unknown)
    shown = cpr_import(str(projects))
    assert shown.returncode == 0, shown.stderr
    assert "Tokens: ? input, ? output" in shown.stdout and "Cost: unknown" in shown.stdout
    totals = json.loads(cpr_import(str(projects), "--json").stdout)
    assert totals["cost_usd"] is None and totals["input_tokens"] is None
    assert totals["n_unknown_costs"] == 1


def test_the_command_without_transcripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    shown = cpr_import()
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "there is no folder" in shown.stderr
    assert cpr_import("--json", "x.eval", "--since", "2d").returncode == 2
