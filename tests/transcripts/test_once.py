"""Each answer counts once, with its final figures, wherever its lines are."""

from __future__ import annotations

from pathlib import Path

import pytest
from testkit.transcript_lines import call

import cpr_nb as cpr

from .conftest import Write


def test_the_last_line_of_an_answer_counts(write: Write, projects: Path) -> None:
    main = write("s1")
    main.user("Do it.")
    main.answer("m1", {"type": "thinking", "thinking": "…"}, output=1)
    main.answer("m1", {"type": "text", "text": "Reading."}, output=1)
    main.answer("m1", call("c1", file_path="/w/a.py"), output=77)
    (row,) = cpr.transcripts(projects).messages_df().itertuples()
    assert (row.input_tokens, row.output_tokens) == (1, 77)
    assert (row.cache_read_tokens, row.cache_write_tokens) == (100, 1000)


@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"requestSessionId": "z-first"},
        {"forkedFrom": {"sessionId": "z-first", "messageUuid": "u"}},
    ],
    ids=["no origin", "request", "fork"],
)
def test_what_a_fork_copies_counts_in_the_original(
    write: Write, projects: Path, origin: dict[str, object]
) -> None:
    first = write("z-first")
    first.user("Do it.")
    first.answer("m1", call("c1"), output=5)
    first.result("c1")
    fork = write("a-fork")
    fork.line("queue-operation", uuid=None, timestamp="2026-11-28T09:00:00.000Z")
    fork.copy_from(first, **origin)
    fork.answer("m2", output=7)
    seen = cpr.transcripts(projects)
    df = seen.df(full=True).set_index("conversation_id")
    assert df["output_tokens"].to_dict() == {"z-first": 5, "a-fork": 7}
    assert df["n_copied"].to_dict() == {"z-first": 0, "a-fork": 1}
    assert df["n_tool_calls"].to_dict() == {"z-first": 1, "a-fork": 0}
    assert len(seen.tool_calls_df()) == 1


def test_a_copy_remains_when_its_original_is_gone(write: Write, projects: Path) -> None:
    first = write("first")
    first.user("Do it.")
    first.answer("m1", output=5)
    write("fork").copy_from(first, requestSessionId="first")
    assert cpr.transcripts_df(projects).output_tokens.sum() == 5
    first.path.unlink()
    df = cpr.transcripts_df(projects)
    assert df[["conversation_id", "output_tokens"]].values.tolist() == [["fork", 5]]


def test_an_original_takes_the_final_figures_of_its_copy(write: Write, projects: Path) -> None:
    first = write("first")
    first.answer("m1", output=1)
    copied = write("fork")
    copied.answer("m1", output=50, requestSessionId="first")
    (row,) = cpr.transcripts(projects).messages_df().itertuples()
    assert (row.conversation_id, row.output_tokens) == ("first", 50)


def test_what_is_no_answer_of_a_model_does_not_count(write: Write, projects: Path) -> None:
    main = write("s1")
    main.user("Do it.")
    main.answer("m0", model="<synthetic>")
    main.answer("m1", isApiErrorMessage=True)
    main.line("progress", data={"message": {"type": "assistant", "message": {"id": "m2"}}})
    main.line("summary", summary="About it")
    main.line("system", subtype="compact_boundary")
    main.user("This session is being continued …", isCompactSummary=True)
    main.user("<command-name>/clear</command-name>")
    main.user("Caveat: the messages below …", isMeta=True)
    (row,) = cpr.transcripts_df(projects).itertuples()
    assert (row.n_messages, row.n_prompts, row.prompt) == (0, 1, "Do it.")


def test_subagents_count_in_the_conversation_of_their_call(write: Write, projects: Path) -> None:
    main = write("s1")
    main.user("Do it.")
    main.answer("m1", call("c1", "Agent", description="look around"), output=1)
    agent = write("s1", agent="a7")
    agent.user("Look around.")
    agent.answer("m2", call("c2", "Grep", pattern="x"), output=2)
    agent.result("c2")
    main.result("c1", toolUseResult={"agentId": "a7", "status": "completed"})
    compaction = write("s1", agent="acompact-9")
    compaction.answer("m3", output=4)
    seen = cpr.transcripts(projects)
    (row,) = seen.df(full=True).itertuples()
    assert (row.output_tokens, row.n_agents, row.n_compactions) == (7, 1, 1)
    calls = seen.tool_calls_df().set_index("tool")
    assert calls.parent_tool_use_id["Grep"] == "c1"
    assert calls.agent_id["Grep"] == "a7"
    assert calls.target.to_dict() == {"Agent": "look around", "Grep": "x"}
    by_agent = seen.usage_df(by="agent").set_index("agent_id").output_tokens
    assert by_agent.drop("a7").to_dict() == {"acompact-9": 4} | {by_agent.index[-1]: 1}


def test_a_subagent_of_a_subagent_is_known_by_its_note(write: Write, projects: Path) -> None:
    """The result of its call does not name it."""
    main = write("s1")
    start = main.user("Do it.")
    main.answer("m1", call("c1", "Agent"))
    main.result("c1", toolUseResult={"agentId": "a1"})
    outer = write("s1", agent="a1")
    outer.answer("m2", call("c2", "Agent"))
    outer.result("c2")
    inner = write("s1", agent="a2")
    inner.answer("m3", call("c3"))
    inner.path.with_suffix(".meta.json").write_text('{"toolUseId": "c2"}')
    write("s1", agent="a3").path.with_suffix(".meta.json").write_text("not json")
    write("s1", agent="a3").answer("m4")
    main.rewind(start)
    main.answer("m5")
    calls = cpr.transcripts(projects).tool_calls_df(full=True).set_index("tool_use_id")
    assert calls.parent_tool_use_id["c3"] == "c2"
    assert calls.is_current_branch.to_dict() == {"c1": False, "c2": False, "c3": False}
    messages = cpr.transcripts(projects).messages_df().set_index("message_id")
    assert messages.is_current_branch.isna().to_dict()["m4"]


@pytest.mark.parametrize("agent", [None, "a1"], ids=["conversation", "subagent"])
def test_versions_that_never_wrote_the_final_count_of_subagents(
    write: Write, projects: Path, agent: str | None
) -> None:
    file = write("s1", agent=agent, version="2.1.38")
    file.answer("m1", output=1)
    row = cpr.transcripts(projects).messages_df().iloc[0]
    is_unknown = row[["output_tokens", "cost_usd", "input_tokens"]].isna().tolist()
    assert is_unknown == ([True, True, False] if agent else [False, False, False])


def test_a_rewind_leaves_the_old_branch_paid_but_not_current(write: Write, projects: Path) -> None:
    main = write("s1")
    start = main.user("Do it.")
    main.answer("m1", call("c1", "Agent"))
    main.result("c1", toolUseResult={"agentId": "a1"})
    agent = write("s1", agent="a1")
    agent.answer("m2", call("c2"))
    main.rewind(start)
    main.answer("m3", call("c3"))
    main.result("c3")
    seen = cpr.transcripts(projects)
    messages = seen.messages_df().set_index("message_id")
    assert messages.is_current_branch.to_dict() == {"m1": False, "m3": True, "m2": False}
    calls = seen.tool_calls_df(full=True).set_index("tool_use_id")
    assert calls.is_current_branch.to_dict() == {"c1": False, "c3": True, "c2": False}
    (row,) = seen.df(full=True).itertuples()
    assert (row.n_messages, row.n_abandoned, row.output_tokens) == (3, 2, 30)


def test_subagents_in_the_file_of_the_conversation(write: Write, projects: Path) -> None:
    """As versions before 2 wrote them: a tree of their own, which ends last here."""
    main = write("s1", version="1.0.98")
    main.user("Do it.")
    main.answer("m1", call("c1", "Task"), output=1)
    here = main.lines[-1]
    main.user("Look around.", isSidechain=True, parentUuid=None)
    main.answer("m2", output=2, isSidechain=True)
    main.rewind(here)
    main.result("c1")
    main.answer("m3", output=4)
    main.user("Look again.", isSidechain=True, parentUuid=None)
    main.answer("m4", output=8, isSidechain=True)
    seen = cpr.transcripts(projects)
    flags = seen.messages_df().set_index("message_id").is_current_branch
    assert flags.dropna().to_dict() == {"m1": True, "m3": True}
    (row,) = seen.df().itertuples()
    assert (row.output_tokens, row.n_prompts, row.n_messages) == (15, 1, 4)


def test_a_compaction_continues_the_conversation(write: Write, projects: Path) -> None:
    main = write("s1")
    main.user("Do it.")
    last = main.answer("m1")
    boundary = {"parentUuid": None, "logicalParentUuid": last["uuid"]}
    main.line("system", subtype="compact_boundary", **boundary)
    main.user("Go on.")
    main.answer("m2")
    assert cpr.transcripts(projects).messages_df().is_current_branch.all()
