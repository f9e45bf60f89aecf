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
    assert "; rm' · in /shop" in long
    assert "\x1b" not in what_runs(spec_of({}, setup="a\x1b[2Kb\nc"))
    assert what_runs({}) == "0 tasks: claude null"


def test_a_light_task_is_told_and_what_it_names_is_shown() -> None:
    words = what_runs(spec_of({}, light=True, claude_args=["--x"], settings="not an object"))
    assert "permissions read (light: no tools) · claude_args '--x'" in words
    assert "permissions edits" in what_runs(spec_of({}, light=False))


def test_many_folders_are_counted_and_no_command_is_hidden() -> None:
    own = [{"check": f"c{n}", "cwd": f"/f{n}"} for n in range(9)]
    sessions = [(f"id-{n:05}", Authorship(spec_of(own[n]), "", "x")) for n in range(9)]
    for words in (what_all_run(sessions), what_runs(spec_of(*own))):
        assert [n for n in range(9) if f"'c{n}'" in words] == list(range(9))
        assert "/f5" in words and "/f6" not in words and words.endswith(", and 3 more")
    assert "check 'c0' (1: id-00000), " in what_all_run(sessions)
    assert "claude /c (9)" in what_all_run(sessions)
