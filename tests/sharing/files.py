"""Which files of the user and the project a process of the CLI reads anew for the next task."""

from __future__ import annotations

import json
from typing import Any

from testkit.served import Served

from sharing.bench import ALL_TOOLS, Bench, Cells, bash, init_of, outputs, says

#: What is watched arrives within a second or two, or not at all.
_MAX_TASKS = 20
_OWNERS = ("project", "user")
_PAUSE = says(bash("sleep 0.2"))


def texts(bench: Bench) -> Cells:
    """CLAUDE.md of the project and of the user, changed after /clear."""
    folders = (bench.work, bench.home / ".claude")
    places = {name: folder / "CLAUDE.md" for name, folder in zip(_OWNERS, folders, strict=True)}
    for name, path in places.items():
        bench.write(path, f"{name}-before\n")
    with bench.serve() as served:
        served.ask("Hello.")
        served.clear()
        for name, path in places.items():
            bench.write(path, f"{name}-after\n")
        at_once = _asks_anew(bench, served)
        served.clear()
        later = _asks_anew(bench, served)
    words = "read anew" if at_once else "read anew at `/clear`" if later else "as it was"
    return {"CLAUDE.md, changed after `/clear`": words}


def _asks_anew(bench: Bench, served: Served) -> bool:
    n_asked = len(bench.api.bodies)
    served.ask("Hello.")
    asked = bench.asked_since(n_asked)
    return all(f"{name}-after" in asked and f"{name}-before" not in asked for name in _OWNERS)


def added_files(bench: Bench) -> Cells:
    """A skill, a command and an agent, added to a project that had none."""
    names = {"skill", "command", "agent"}
    with bench.serve(ALL_TOOLS) as served:
        served.ask("Hello.")
        _add(bench)
        seen, n_tasks = set[str](), 0
        while seen != names and n_tasks < _MAX_TASKS:
            served.clear()
            init = json.dumps(init_of(served.ask(_PAUSE)))
            seen = {name for name in names if f"new{name}" in init}
            n_tasks += 1
    both = {"skill", "command"} <= seen
    return {
        "skills and commands, added": "seen within seconds" if both else "not seen",
        "agents in files, added": "seen within seconds" if "agent" in seen else "not seen",
    }


def _add(bench: Bench) -> None:
    of = bench.work / ".claude"
    front = "---\nname: {}\ndescription: a new one\n---\nHelp.\n"
    bench.write(of / "skills" / "newskill" / "SKILL.md", front.format("newskill"))
    bench.write(of / "commands" / "newcommand.md", "Say hello.\n")
    bench.write(of / "agents" / "newagent.md", front.format("newagent"))


def settings(bench: Bench) -> Cells:
    """A rule that denies a command, added to the settings while the process lives."""
    with bench.serve(ALL_TOOLS, settings={}) as served:
        assert not _denied(served)
        rules = {"permissions": {"deny": ["Bash(ls:*)"]}}
        bench.write(bench.home / ".claude" / "settings.json", json.dumps(rules))
        n_tasks, seen = 1, False
        while not seen and n_tasks < _MAX_TASKS:
            served.clear()
            n_tasks, seen = n_tasks + 1, _denied(served)
    return {"settings.json, changed": "applied within seconds" if seen else "not seen"}


def _denied(served: Served) -> bool:
    return "denied" in outputs(served.ask(says(bash("ls"), bash("sleep 0.1"))))[0]


def hooks(bench: Bench) -> Cells:
    """Hooks at the start and the end of a conversation."""
    seen = bench.home / "seen"
    settings: dict[str, Any] = {
        "hooks": {
            "SessionStart": [
                _writes("startup", f"startup >> {seen}"),
                _writes("clear", f"start >> {seen}"),
            ],
            "SessionEnd": [_writes("clear", f"end >> {seen}")],
        }
    }
    with bench.serve(settings=settings) as served:
        served.ask("Hello.")
        before = seen.read_text("ascii").split()
        served.clear()
        served.ask("Hello.")
        after = seen.read_text("ascii").split()[len(before) :]
    assert "startup" in before
    return {
        "SessionStart hooks for `startup`": "run again" if "startup" in after else "once a process",
        "hooks for `clear`": "run at each border" if {"start", "end"} <= {*after} else "do not run",
    }


def _writes(matcher: str, words: str) -> dict[str, Any]:
    return {"matcher": matcher, "hooks": [{"type": "command", "command": f"echo {words}"}]}
