"""Agents and the runner: requests that they forge, and what is still to run, rewritten by them."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from testkit import processes
from testkit.command import LIMIT_S, script
from testkit.stub import plan

import cpr_nb as cpr
from boundary.interfaces import REFUSED, command
from boundary.place import Place
from boundary.table import Row
from cpr_nb.store.write import dump

FORGED = ("cancel", "cancel-two", "pause", "max-parallel")
_SAID, _EVIL = "say two", "do evil"
_AGENT = f"""
import glob
import os

SAID, EVIL = b"{_SAID}", b"{_EVIL}"
for folder in glob.glob("results/session-*"):
    for name in ("session.json", "journal.jsonl", "runner.json", "status.json"):
        try:
            with open(folder + "/" + name, "r+b") as file:
                data = file.read().replace(SAID, EVIL)
                file.seek(0)
                file.write(data)
        except OSError as error:
            print(name, error)
    try:
        os.makedirs(folder + "/requests", exist_ok=True)
        for name in {FORGED}:
            open(folder + "/requests/" + name, "w").close()
    except OSError as error:
        print(error)
"""
_SENT = "0f0f0f0f-0000-4000-8000-00000000000f"


def forge(session: cpr.Session, line: bool = True) -> None:
    """What an agent leaves in its session's folder if nothing keeps it off.

    Args:
        session: The session.
        line: Whether it also rewrites the line of the second task: in place, as the runner has it.
    """
    folder = session.path / "requests"
    folder.mkdir(exist_ok=True)
    for name in FORGED:
        (folder / name).write_text("9")
    with (session.path / "journal.jsonl").open("ab") as journal:
        for name in FORGED:
            journal.write(dump({"event": "request", "name": name, "value": 9}) + b"\n")
    if line:
        data = (session.path / "session.json").read_bytes()
        with (session.path / "session.json").open("r+b") as file:
            file.write(data.replace(_SAID.encode(), _EVIL.encode()))


def forged_request(place: Place) -> None:
    """Requests in the session's folder while its runner lives; one of the user's gets through."""
    session = _held(place)
    forge(session, line=False)
    with place.inside(place.stub_env()):
        session.max_parallel = 3
        session.wait_until(lambda: session.max_parallel == 3, LIMIT_S, "the user's request")
    place.release("held")
    _expect_all_done(place, session.wait(LIMIT_S))


def forged_request_of_a_dead_runner(place: Place) -> None:
    """The same while nobody listens; then the session is resumed."""
    session = _held(place)
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")
    (session.path / "requests").mkdir()
    for name in FORGED:
        (session.path / "requests" / name).write_text("9")
    place.command(place.stub_env()).good("resume", session.id)
    place.release("held")
    _expect_all_done(place, session.wait(LIMIT_S))


def changed_line(place: Place) -> None:
    """The check of a pending task becomes a program of the agent's."""
    program = place.program("check")
    harmless = "true".ljust(len(program))
    session = _held(place, check=harmless)
    data = (session.path / "session.json").read_bytes()
    with (session.path / "session.json").open("r+b") as file:
        file.write(data.replace(harmless.encode(), program.encode()))
    place.release("held")
    session.wait(LIMIT_S)
    _expect_refused(place, session)


def _held(place: Place, **second: Any) -> cpr.Session:
    place.hold("held")
    door = place.door("held")
    first = {"id": "one", "prompt": plan(here="held", lock="held")}
    tasks = [first, {"id": "two", "prompt": _SAID, **second}]
    session = place.launch(place.stub_env(), tasks, max_parallel=1)
    place.await_at(door)
    session.wait_until(lambda: session[0].state == "running", LIMIT_S, "the first task")
    return session


def _expect_all_done(place: Place, session: cpr.Session) -> None:
    outcomes = [task.outcome for task in session]
    if session.state != "completed" or outcomes != ["succeeded", "succeeded"]:
        place.escaped(f"a file in the session's folder counted: {session.state}, {outcomes}")
    if session.max_parallel == 9:
        place.escaped("a file in the session's folder has set max_parallel")


def _expect_refused(place: Place, session: cpr.Session) -> None:
    ends = [(task.outcome, task.reason) for task in session]
    good = [("succeeded", "completed"), ("failed", "changed")]
    place.expect(ends == good and session.warnings, f"{ends}, warnings: {session.warnings}")


# -- real agents ------------------------------------------------------------------------------


def at_its_controls(place: Place) -> None:
    """A sandboxed agent rewrites everything that controls its session, as far as it can."""
    place.work.joinpath("agent.py").write_text(_AGENT)
    bash = {"tool": "Bash", "input": {"command": "python3 agent.py", "description": "try"}}
    session = _launch_real(place, script(bash, {"text": "done"}), permissions="sandbox")
    session.wait(LIMIT_S)
    said = session[0].stream_path.read_text()
    place.expect("session.json" in said, "the agent has not tried")
    _expect_all_done(place, session)
    if _EVIL in (session.path / "session.json").read_text():
        place.escaped("it has rewritten session.json")
    if (session.path / "requests").exists():
        place.escaped("it has left requests")
    _expect_unsaid(place)


def without_the_rules(place: Place) -> None:
    """The same as if no rule of the CLI kept the agent off: the runner refuses what was changed."""
    session = _launch_real(place, script({"text": "done", "wait": "go"}))
    place.api.wait_for(lambda record: record.step == 0, LIMIT_S)
    forge(session)
    place.api.release("go")
    session.wait(LIMIT_S)
    _expect_refused(place, session)
    _expect_unsaid(place)


def written_session(place: Place) -> None:
    """An agent with `edits` writes a whole session, where no rule of the CLI keeps it off."""
    folder = place.work / "out" / f"session-{_SENT}"
    files = {"session.json": _sent_spec(place), "status.json": _sent_status(), "runner.lock": ""}
    steps: list[dict[str, Any]] = [
        {"tool": "Write", "input": {"file_path": f"{folder}/{name}", "content": content}}
        for name, content in files.items()
    ]
    prompts = [script(*steps, {"text": "done"})]
    place.launch(place.real_env(), prompts, permissions="edits").wait(LIMIT_S)
    place.expect((folder / "session.json").exists(), "the agent has not written it")
    out = ("--results-dir", "out")
    for use in (("resume", _SENT), ("retry", _SENT), ("cancel", _SENT)):
        place.expect(command(*use, *out)(place).startswith(REFUSED), f"not refused: {use[0]}")
    command("resume", "--all", *out)(place)


def _launch_real(place: Place, first: str, **options: Any) -> cpr.Session:
    second = script({"text": "done"}, say=_SAID)
    tasks = [{"id": "one", "prompt": first}, {"id": "two", "prompt": second}]
    return place.launch(place.real_env(), tasks, max_parallel=1, **options)


def _expect_unsaid(place: Place) -> None:
    """What reached the API decides: no request may have the changed prompt."""
    if any(record.last_user_text.startswith(_EVIL) for record in place.api.requests):
        place.escaped("the changed prompt was sent")


def _sent_spec(place: Place) -> str:
    spec = {
        "session_id": _SENT,
        "name": "written",
        "created_at": "2026-01-01T00:00:00.000Z",
        "start_time": 1767225600,
        "cwd": str(place.work),
        "options": {"permissions": "all", "check": place.program("check"), "attempts": 1},
        "env_names": [],
        "max_parallel": 1,
        "claude_path": place.program("claude"),
        "executor": "local",
        "mark": "0" * 32,
    }
    task = {"id": "one", "prompt": _EVIL, "options": {}}
    head, line = json.dumps(spec)[:-1], json.dumps(task)
    return f'{head},\n"tasks":[\n{line}\n],\n"seal":"{"0" * 64}"}}\n'


def _sent_status() -> str:
    head = {"schema_version": 1, "session_id": _SENT, "overall_status": "running", "total": 1}
    return json.dumps({**head, "tasks": [{"task_num": 1, "transaction_id": "one"}]})


ROWS = [
    Row("a forged request", "the runner", forged_request),
    Row("a forged request", "cpr resume", forged_request_of_a_dead_runner),
    Row("a changed line", "the runner", changed_line),
    Row("a changed line", "a sandboxed agent", at_its_controls, real=True, slow=True),
    Row("a changed line", "an agent without rules", without_the_rules, real=True, slow=True),
    Row("a written session", "an agent with edits", written_session, real=True, slow=True),
]
