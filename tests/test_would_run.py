"""What a foreign session would run, in words for the person who decides."""

from __future__ import annotations

from typing import Any

from cpr_nb.launching.would_run import what_all_run, what_runs
from cpr_nb.store.authorship import Authorship


def spec_of(*tasks: dict[str, Any], **options: Any) -> dict[str, Any]:
    every = [{"id": str(n), "prompt": "x", "options": own} for n, own in enumerate(tasks)]
    return {"claude_path": "/c", "cwd": "/shop", "options": options, "tasks": every}


def test_everything_that_could_run_or_allow_something_is_said() -> None:
    assert what_runs(spec_of({}, {"permissions": "all", "cwd": "/other"}, check="a 'b'")) == (
        "2 tasks: claude /c · permissions edits, all · check \"a 'b'\" · in /shop, /other"
    )
    servers = {"db": {"command": "run-db"}}
    words = what_runs(
        spec_of({"allow": ["Bash(a:*)"]}, claude_args=["--x", "y z"], mcp_servers=servers)
    )
    for part in ("allow Bash(a:*)", "claude_args '--x' 'y z'", 'mcp_servers {"db": {"command"'):
        assert part in words
    long = what_runs(spec_of({}, check="true #" + "x" * 400 + "; rm"))
    assert "more characters)" in long and len(long) < 400
    assert "\x1b" not in what_runs(spec_of({}, setup="a\x1b[2Kb\nc"))
    assert what_runs({}) == "0 tasks: claude null"


def test_many_values_are_counted() -> None:
    sessions = [(f"id-{n:05}", Authorship(spec_of({}, check=f"c{n}"), "", "x")) for n in range(9)]
    words = what_all_run(sessions)
    assert "check 'c0' (1: id-00000), " in words and "and 3 more" in words
    assert "claude /c (9)" in words
