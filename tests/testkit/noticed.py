"""Sessions that send notices, and what a test wants to know of each."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import cpr_nb as cpr
from testkit import processes
from testkit.stub import plan
from testkit.webhooks import LIMIT_S, Webhook

FAILS = plan(result={"is_error": True, "subtype": "error_during_execution"})
SECRET = "T0-secret-B1"
#: A usage limit that ends tomorrow, or when somebody resumes the session.
LIMITED = plan(
    result={
        "is_error": True,
        "result": f"Claude AI usage limit reached|{int(time.time()) + 86_400}",
    },
    mended={"is_error": False, "result": "done"},
)


def state_dir() -> Path:
    return Path(os.environ["HOME"], ".local", "state", "cpr")


def url_of(hook: Webhook) -> str:
    return f"http://{hook.address}/{SECRET}"


def launch(*texts: str, **options: Any) -> cpr.Session:
    return cpr.launch(texts or [plan()], attempts=1, **options)


def ended(session: cpr.Session) -> cpr.Session:
    """The session after its end, its runner's, and that of the programs that send its notices."""
    session.wait(LIMIT_S)
    processes.await_lock(session.path / "runner.lock")
    await_senders()  # on a slow machine the runner does not wait long enough
    return session


def log(session: cpr.Session, kind: str) -> list[dict[str, Any]]:
    lines = (session.path / "notices" / f"{kind}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def events(session: cpr.Session, kind: str) -> list[str]:
    return [line["event"] for line in log(session, kind)]


def await_event(session: cpr.Session, kind: str, event: str) -> None:
    """Waits until a notice is so far; its session may have ended."""
    file = session.path / "notices" / f"{kind}.jsonl"
    end = time.monotonic() + LIMIT_S
    while not (file.exists() and event in events(session, kind)):
        assert time.monotonic() < end, f"{kind}: {event}"
        time.sleep(0.01)


def senders() -> list[int]:
    """The programs of this test that send notices."""
    found = processes.survivors(os.environ[processes.TOKEN])
    return [pid for pid, command in found.items() if "notice_program.py" in command]


def await_senders() -> None:
    """Waits until all of them have ended: those that no runner has started have none that waits."""
    for pid in senders():
        processes.await_gone(pid)
