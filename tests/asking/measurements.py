"""What the CLI asks, when, and what becomes of a question that nobody answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sharing.bench import Bench, Cells, bash, outputs, says
from testkit.served import Line, Served

Measurement = Callable[[Bench], Cells]
ASKING = ("--permission-prompt-tool=stdio",)
_EDITS = (*ASKING, "--permission-mode=acceptEdits")
_DENY: Line = {"behavior": "deny", "message": "not now"}
#: Longer than a hook takes; the CLI takes its question back if a hook has answered it.
_HOOK_S = 3.0


def _touch(name: str) -> dict[str, Any]:
    return bash(f"truncate -s 0 {name}")


class _Asked:
    """A CLI that was given a script, and what it asks.

    Args:
        bench: Where it runs.
        steps: The steps of its script before the answer.
        flags: Further arguments.
        settings: The user's settings.
    """

    def __init__(
        self,
        bench: Bench,
        *steps: Mapping[str, Any],
        flags: tuple[str, ...] = _EDITS,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        bench.write(bench.home / ".claude" / "settings.json", json.dumps(settings or {}))
        self.served = Served(bench.claude, bench.work, bench.env, *flags)
        self.lines: list[Line] = []
        self.served.send(says(*steps))

    def next(self) -> Line:
        """The next question, or the result."""
        self.lines += self.served.read_until(
            lambda line: line["type"] in ("result", "control_request")
        )
        return self.lines[-1]

    def to_the_end(self, response: Line = _DENY) -> list[str]:
        """Answers all the same way; returns the tools that were asked about."""
        tools = []
        while (line := self.next())["type"] != "result":
            tools.append(line["request"]["tool_name"])
            self.served.answer(line, response)
        return tools


def modes(bench: Bench) -> Cells:
    """Which modes ask at all."""
    words = []
    for mode in ("default", "acceptEdits", "dontAsk", "bypassPermissions"):
        asked = _Asked(bench, _touch(mode), flags=(*ASKING, f"--permission-mode={mode}"))
        with asked.served:
            words.append(f"{mode}: {'asks' if asked.to_the_end() else 'does not ask'}")
    return {"permission modes": ", ".join(words)}


def at_once(bench: Bench) -> Cells:
    """Several calls of one message."""
    calls = [["Bash", _touch(name)["input"]] for name in "ab"]
    calls += [["WebFetch", {"url": f"http://127.0.0.1:9/{n}", "prompt": "x"}] for n in "ab"]
    asked = _Asked(bench, {"tools": calls})
    with asked.served as served:
        waves = []
        line = asked.next()
        while line["type"] == "control_request":
            wave = [line]
            if line["request"]["tool_name"] == "WebFetch":
                wave.append(asked.next())
            waves.append("+".join(one["request"]["tool_name"] for one in wave))
            for one in wave:
                served.answer(one, _DENY)
            line = asked.next()
    return {"two commands and two fetches at once": ", then ".join(waves)}


def hooks_and_rules(bench: Bench) -> Cells:
    """Who decides before a person is asked."""
    cells = {}
    for decision in ("deny", "allow", "ask"):
        hook = {"permissionDecision": decision, "permissionDecisionReason": "the hook"}
        cells[f"a PreToolUse hook says {decision}"] = _outcome(bench, _hook("PreToolUse", hook))
    rules = {"a `deny` rule of the user's": "deny", "an `ask` rule of the user's": "ask"}
    for name, kind in rules.items():
        cells[name] = _outcome(bench, {"permissions": {kind: ["Bash(truncate:*)"]}})
    return cells


def _outcome(bench: Bench, settings: Mapping[str, Any]) -> str:
    asked = _Asked(bench, _touch("x"), settings=settings)
    with asked.served:
        line = asked.next()
        if line["type"] == "control_request":
            has_rule = bool(line["request"].get("permission_suggestions"))
            return f"asks, {'with' if has_rule else 'without'} a rule"
        return "denied" if line["permission_denials"] or _is_refused(asked.lines) else "runs"


def _is_refused(lines: list[Line]) -> bool:
    return any("the hook" in text for text in outputs(lines))


def _hook(event: str, output: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps({"hookSpecificOutput": {"hookEventName": event, **output}})
    return {"hooks": {event: [{"matcher": "Bash", "hooks": [_command(f"echo '{text}'")]}]}}


def _command(command: str) -> dict[str, str]:
    return {"type": "command", "command": command}


def permission_request_hook(bench: Bench) -> Cells:
    """A hook that answers questions, beside a person who does nothing."""
    hook = _hook("PermissionRequest", {"decision": {"behavior": "allow"}})
    asked = _Asked(bench, _touch("x"), settings=hook)
    with asked.served as served:
        asked.next()
        # The message gets an answer by itself only if the hook's allowed the call meanwhile.
        asked.lines += served.read_for(_HOOK_S)
        kinds = [line["type"] for line in asked.lines]
    took_back = "control_cancel_request" in kinds
    words = "asks, and takes it back as the hook answers" if took_back else "asks all the same"
    return {"a PermissionRequest hook says allow": words}


def subagent(bench: Bench) -> Cells:
    """A call of a subagent's."""
    prompt = says(_touch("x"))
    agent = {"description": "x", "subagent_type": "general-purpose", "prompt": prompt}
    step = {"tool": "Task", "input": {**agent, "run_in_background": False}}
    asked = _Asked(bench, step)
    with asked.served:
        line = asked.next()
        tool = line["request"]["tool_name"] if line["type"] == "control_request" else ""
    return {"a subagent's command": "asks" if tool == "Bash" else "does not ask"}


def session_rule(bench: Bench) -> Cells:
    """A rule that comes with an answer."""
    asked = _Asked(bench, _touch("x"), _touch("y"))
    with asked.served as served:
        line = asked.next()
        rules = [{"toolName": "Bash", "ruleContent": "truncate:*"}]
        rule = {"type": "addRules", "rules": rules, "behavior": "allow", "destination": "session"}
        granted = {"behavior": "allow", "updatedInput": line["request"]["input"]}
        served.answer(line, {**granted, "updatedPermissions": [rule]})
        again = asked.next()["type"] == "control_request"
    return {"a rule with the answer": "asks again" if again else "the next such call runs"}


def stdin_closes(bench: Bench) -> Cells:
    """The one who could answer is gone."""
    asked = _Asked(bench, _touch("x"), _touch("y"))
    with asked.served as served:
        asked.next()
        lines = served.close()
        result = next((line for line in lines if line["type"] == "result"), {})
        code = served.process.returncode
    n_denied = len(result.get("permission_denials", ()))
    return {"stdin closes while a question is open": f"{n_denied} of 2 calls denied, exit {code}"}


def message_between(bench: Bench) -> Cells:
    """A message of the user's while a question is open."""
    asked = _Asked(bench, _touch("x"))
    with asked.served as served:
        line = asked.next()
        served.send("A-WORD-BETWEEN")
        served.answer(line, _DENY)
        result = asked.next()
    is_there = "A-WORD-BETWEEN" in bench.asked_since(len(bench.api.bodies) - 1)
    same = is_there and result["type"] == "result"
    return {"a message while it works": "in its next request" if same else "in a later turn"}


MEASUREMENTS: tuple[Measurement, ...] = (
    modes,
    at_once,
    hooks_and_rules,
    permission_request_hook,
    subagent,
    session_rule,
    stdin_closes,
    message_between,
)
#: What CI measures each time: the others are part of the slow tests.
QUICK: tuple[Measurement, ...] = (session_rule, stdin_closes, message_between)
