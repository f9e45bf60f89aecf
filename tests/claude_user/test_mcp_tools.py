"""The tools of ``cpr mcp``, called by the official client; the agents are stand-ins."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.mcp_caller import Caller, answer, served
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.cli.commands.mcp import TOOLS
from cpr_nb.cli.mcp_pages import MAX_LISTED


def spec_of(session: cpr.Session) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads((session.path / "session.json").read_text())
    return spec


def test_a_session_is_launched_awaited_and_read(stub_cpr: Cpr, stub: Stub) -> None:
    theirs = {"CLAUDE_PROJECT_DIR": "x", "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS": "x"}

    async def talk() -> None:
        async with served(stub_cpr, **theirs) as call:
            assert {tool.name for tool in await call.tools()} == set(TOOLS)
            assert (await call("status")) == {"sessions": []}
            assert "no session" in await call.refused("wait")
            launched = await call("launch", prompts=[answer("one"), answer("two")], name="pair")
            assert launched["is_new"] and launched["n_tasks"] == 2
            ended = await call("wait", session="pair")
            assert ended["has_ended"] and ended["n_succeeded"] == 2 and "next" not in ended
            page = await call("results", session=launched["session_id"][:8])
            assert [task["answer"] for task in page["tasks"]] == ["one", "two"]
            again = await call("launch", prompts=[answer("one"), answer("two")])
            assert again["session_id"] == launched["session_id"] and not again["is_new"]
            fresh = await call("launch", prompts=[answer("one"), answer("two")], fresh=True)
            assert fresh["session_id"] != launched["session_id"]
            await call("wait")
            assert len((await call("status"))["sessions"]) == 2

    anyio.run(talk)
    assert len(stub.calls()) == 4
    assert not any(theirs.keys() & one["env"].keys() for one in stub.calls().values())
    assert "Launched by: Claude, in conversation " in stub_cpr.good("status", "pair")


def test_a_wait_ends_before_a_client_gives_up_and_a_cancellation_ends_the_work(
    stub_cpr: Cpr, stub: Stub
) -> None:
    stub.fifos("a", "b")

    async def talk() -> None:
        async with served(stub_cpr) as call:
            await call("launch", prompts=[plan(gate="a"), plan(gate="b")], name="x")
            status = await call("wait", timeout_s=0)
            assert not status["has_ended"] and "call wait again" in status["next"]
            assert len(status["tasks_not_succeeded"]) == 2 and "2" in status["progress"]
            one = await call("cancel", session="x", task=1)
            assert not one["has_ended"] and not one["had_ended_before"]
            whole = await call("cancel", session="x")
            assert whole["has_ended"] and whole["state"] == "cancelled"
            assert (await call("cancel", session="x"))["had_ended_before"]

    anyio.run(talk)


def test_a_server_ends_with_its_client_and_the_session_goes_on(stub_cpr: Cpr, stub: Stub) -> None:
    """Also while a call waits."""
    stub.fifos("a")
    me = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t"}}
    me["clientInfo"] |= {"version": "1"}  # type: ignore[operator]
    server = stub_cpr.start("mcp", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin and server.stdout

    def send(method: str, params: dict[str, Any], **number: int) -> None:
        assert server.stdin
        message = {"jsonrpc": "2.0", "method": method, "params": params, **number}
        server.stdin.write(json.dumps(message).encode() + b"\n")
        server.stdin.flush()

    with server.stdout:
        send("initialize", me, id=1)
        server.stdout.readline()
        send("notifications/initialized", {})
        prompt = plan(here="a", gate="a")
        send("tools/call", {"name": "launch", "arguments": {"prompts": [prompt]}}, id=2)
        assert json.loads(server.stdout.readline())["id"] == 2
        send("tools/call", {"name": "wait", "arguments": {}}, id=3)
        stub.await_here("a")
        server.stdin.close()
        assert server.wait(LIMIT_S) == 0
    (folder,) = (stub_cpr.cwd / "results").glob("session-*")
    assert not cpr.Session(folder).done()
    stub.release("a")
    assert cpr.Session(folder).wait(LIMIT_S).head["n_succeeded"] == 1


def test_long_answers_and_many_tasks_come_in_pages(stub_cpr: Cpr) -> None:
    long_text = "".join(f'line {number} "quoted" \\ é\n' for number in range(4000))
    texts = [long_text, "short", *[f"{number} " + "x" * 900 for number in range(MAX_LISTED)]]
    session = stub_cpr.launch(prompts(*map(answer, texts)), "--name", "many").wait(LIMIT_S)

    async def talk() -> None:
        async with served(stub_cpr) as call:
            page = await call("results", session="many")
            read = {}
            part = page["tasks"][0]
            while "next_part" in part:
                read[part["offset"]] = part["answer_part"]
                (part,) = (await call("results", session="many", **part["next_part"]))["tasks"]
            assert "".join([*read.values(), part["answer_part"]]) == long_text.removesuffix("\n")
            answers = {}
            while "next_page" in page:
                page = await call("results", session="many", **page["next_page"])
                answers |= {task["task_num"]: task["answer"] for task in page["tasks"]}
            assert list(answers.values()) == texts[1:]
            assert f"must be from 1 to {len(texts)}" in await call.refused(
                "results", session="many", first_task=len(texts) + 1
            )
            assert "must be from 0" in await call.refused(
                "results", session="many", task=2, offset=5
            )

    anyio.run(talk)
    assert len(session) == len(texts)


def test_answers_that_are_no_proper_text_are_read_too(stub_cpr: Cpr) -> None:
    odd = {"half": "\ud800", "zero": "\0", "not a number": float("nan")}
    prompt = plan(result={"structured_output": odd})
    stub_cpr.launch(prompts(prompt), "--schema", '{"type": "object"}').wait(LIMIT_S)

    async def talk() -> None:
        async with served(stub_cpr) as call:
            (session,) = (await call("status"))["sessions"]
            page = await call("results", session=session["session_id"])
            read = page["tasks"][0]["answer"]
            assert read["zero"] == "\0" and read["half"] == "?" and read["not a number"] is None

    anyio.run(talk)


def test_a_budget_holds_for_all_sessions_together(stub_cpr: Cpr, stub: Stub) -> None:
    """Each stand-in costs USD 0.25."""
    stub.fifos("a")

    async def talk() -> None:
        async with served(stub_cpr, "--budget-usd", "0.6", CLAUDE_CODE_SESSION_ID="talk") as call:
            first = await call("launch", prompts=[answer("1")], budget_usd=0.4)
            assert first["budget_usd"] == 0.4
            await call("wait")
            second = await call("launch", prompts=[plan(gate="a", here="a")])
            assert second["budget_usd"] == 0.35  # all that is left
            assert "nothing is left" in await call.refused("launch", prompts=[answer("3")])
            stub.await_here("a")
        # The same conversation goes on: a server that is started again forgets nothing.
        async with served(stub_cpr, "--budget-usd", "0.6", CLAUDE_CODE_SESSION_ID="talk") as call:
            assert "nothing is left" in await call.refused("launch", prompts=[answer("3")])
            same = await call("launch", prompts=[answer("1")], budget_usd=0.4)
            assert not same["is_new"]
            status = stub_cpr.cwd / "results" / f"session-{second['session_id']}" / "status.json"
            status.rename(status.with_name("away"))  # one that can't be read counts, too
            assert "nothing is left" in await call.refused("launch", prompts=[answer("3")])
            status.with_name("away").rename(status)
            stub.release("a")
            await call("wait", session=second["session_id"])
            assert (await call("launch", prompts=[answer("4")]))["budget_usd"] == 0.1
            await call("wait")
        async with served(stub_cpr, "--budget-usd", "0.6", CLAUDE_CODE_SESSION_ID="else") as call:
            assert (await call("launch", prompts=[answer("3")]))["budget_usd"] == 0.6
            await call("wait")

    anyio.run(talk)
    assert len(stub.calls()) == 4


def test_a_session_is_permitted_no_more_than_a_person_allows(
    stub_cpr: Cpr, stub: Stub, tmp_path: Path
) -> None:
    (stub_cpr.cwd / "sub").mkdir()
    (stub_cpr.cwd / "away").symlink_to(tmp_path)

    async def talk() -> None:
        async with served(stub_cpr) as call:
            for requested in ("sandbox", "all"):
                why = await call.refused("launch", prompts=["x"], permissions=requested)
                assert "more than edits" in why and f"--permissions {requested}" in why
            for folder in ("/", "..", "away"):
                assert "must be in" in await call.refused("launch", prompts=["x"], folder=folder)
            assert "no folder" in await call.refused("launch", prompts=["x"], folder="no-such")
            assert "1 to 1000" in await call.refused("launch", prompts=[])
            why = await call.refused("launch", prompts=["x"], budget=5, on_done="touch x")
            assert "has no argument budget, on_done; it has prompts, name," in why
            assert "must be an id" in await call.refused("status", session="../x/session-1")
            assert not stub.calls() and not (stub_cpr.cwd / "results").exists()
            launched = await call("launch", prompts=[answer("in")], folder="sub")
            await call("wait")
            session = cpr.attach(launched["session_id"], stub_cpr.cwd / "results")
            assert session.head["cwd"] == str(stub_cpr.cwd / "sub")

    anyio.run(talk)


def test_the_users_own_settings_limit_a_session(stub_cpr: Cpr, own_home: Path) -> None:
    config = own_home / ".config" / "cpr" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('budget_usd = 0.5\npermissions = "read"\n')

    async def talk() -> None:
        async with served(stub_cpr, "--budget-usd", "9") as call:
            launched = await call("launch", prompts=[answer("1")], budget_usd=3)
            assert launched["budget_usd"] == 0.5
            await call("wait")
            session = cpr.attach(launched["session_id"], stub_cpr.cwd / "results")
            assert spec_of(session)["options"]["permissions"] == "read"

    anyio.run(talk)


# --- Agents that cpr itself runs --------------------------------------------------------------


@pytest.fixture
def parent(stub_cpr: Cpr) -> cpr.Session:
    """A session whose agents the servers of a test belong to."""
    task = {"id": "t", "prompt": answer("parent"), "permissions": "read"}
    other = {"id": "u", "prompt": answer("other")}
    options = ("--deny", "WebFetch", "--tools", "Read,Grep", "--name", "parent")
    return stub_cpr.launch(prompts(task, other), *options).wait(LIMIT_S)


def as_agent(session: cpr.Session, task: str = "t") -> dict[str, str]:
    return {"CPR_SESSION_ID": session.id, "CPR_TASK_ID": task}


AGENT_LIMITS = ("--max-depth", "2", "--budget-usd", "1")


def test_sessions_of_an_agent_may_do_no_more_than_it(
    stub_cpr: Cpr, parent: cpr.Session, stub: Stub
) -> None:
    async def talk() -> None:
        async with served(stub_cpr, *AGENT_LIMITS, **as_agent(parent)) as call:
            assert "more than read" in await call.refused(
                "launch", prompts=["x"], permissions="edits"
            )
            launched = await call("launch", prompts=[answer("inner")])
            await call("wait")
        child = cpr.attach(launched["session_id"], stub_cpr.cwd / "results")
        options = spec_of(child)["options"]
        assert options["permissions"] == "read" and options["tools"] == ["Read", "Grep"]
        assert options["deny"] == ["WebFetch"] and options["allow"] == []
        # One deeper, which its parent's limit does not allow.
        async with served(stub_cpr, *AGENT_LIMITS, **as_agent(child, child[0].id)) as call:
            assert "at depth 2" in await call.refused("launch", prompts=["x"])
        deeper = ("--max-depth", "3", "--budget-usd", "1")
        async with served(stub_cpr, *deeper, **as_agent(child, child[0].id)) as call:
            grandchild = await call("launch", prompts=[answer("innermost")])
            await call("wait")
        session = cpr.attach(grandchild["session_id"], stub_cpr.cwd / "results")
        assert spec_of(session)["launched_by"]["depth"] == 2

    anyio.run(talk)
    assert len(stub.calls()) == 4


def test_an_agent_sees_only_the_sessions_that_its_session_has_started(
    stub_cpr: Cpr, parent: cpr.Session
) -> None:
    async def talk() -> None:
        async with served(stub_cpr, *AGENT_LIMITS, **as_agent(parent)) as call:
            assert (await call("status")) == {"sessions": []}
            for reference in (parent.id, "parent"):
                for tool in ("status", "wait", "results", "cancel"):
                    assert "no session" in await call.refused(tool, session=reference)
            # The same request as the parent's own is no way to its answers.
            launched = await call("launch", prompts=[answer("other")], name="mine")
            assert launched["is_new"]
            await call("wait", session="mine")
        # Another agent of the same session shares its budget, and sees it.
        async with served(stub_cpr, *AGENT_LIMITS, **as_agent(parent, "u")) as call:
            assert [one["name"] for one in (await call("status"))["sessions"]] == ["mine"]
            assert (await call("launch", prompts=[answer("b")]))["budget_usd"] == 0.75
            await call("wait")

    anyio.run(talk)
    mine = stub_cpr.good("status", "mine")
    assert f"Launched by: an agent of session {parent.id[:8]} (task t)" in mine


def test_two_agents_that_launch_at_once_do_not_share_out_the_budget_twice(
    stub_cpr: Cpr, parent: cpr.Session, stub: Stub
) -> None:
    stub.fifos("a")
    outcomes: list[str] = []

    async def launch(call: Caller, number: int) -> None:
        prompt = f"{number} {plan(here='a', gate='a')}"
        outcomes.append(await call.text("launch", prompts=[prompt]))

    async def talk() -> None:
        arguments = (stub_cpr, *AGENT_LIMITS)
        async with (
            served(*arguments, **as_agent(parent)) as one,
            served(*arguments, **as_agent(parent, "u")) as other,
        ):
            async with anyio.create_task_group() as group:
                group.start_soon(launch, one, 1)
                group.start_soon(launch, other, 2)
            stub.await_here("a")
            stub.release("a")
            await one("wait")

    anyio.run(talk)
    assert sorted("nothing is left" in text for text in outcomes) == [False, True], outcomes
    assert len(stub.calls()) == 3


def test_a_session_that_only_claims_to_be_its_own_is_not(
    stub_cpr: Cpr, parent: cpr.Session
) -> None:
    """An agent that writes into the results directory changes what is sealed, and gains nothing."""
    for name in ("session.json", "status.json"):
        path = parent.path / name
        content = json.loads(path.read_text())
        content["launched_by"] = {"session_id": parent.id, "depth": 0}
        path.chmod(0o600)
        path.write_text(json.dumps(content))

    async def talk() -> None:
        async with served(stub_cpr, *AGENT_LIMITS, **as_agent(parent)) as call:
            assert (await call("status")) == {"sessions": []}
            assert "is not in" in await call.refused("launch", prompts=["x"])

    anyio.run(talk)


def test_a_dry_run_shows_the_limits(stub_cpr: Cpr, parent: cpr.Session) -> None:
    shown = json.loads(stub_cpr.good("mcp", "--dry-run", "--json", "--budget-usd", "2"))
    assert shown["depth"] == 0 and shown["left_usd"] == 2 and shown["problem"] is None
    inner = stub_cpr.good("mcp", "--dry-run", env=as_agent(parent))
    assert "May start sessions: no" in inner and "read at most" in inner
    for wrong in (("--max-depth", "0"), ("--budget-usd", "-1")):
        assert stub_cpr("mcp", *wrong).returncode == 2
