"""What a task can do and how it can end: the same in a shared process and in one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from testkit.command import script

#: Every answer costs the same, whatever the cache holds.
_USAGE = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}
_SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


class Scenario(NamedTuple):
    """A task.

    Attributes:
        steps: What the scripted API answers.
        options: The task's options.
        says: The prompt in front of its script.
    """

    steps: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any] = {}
    says: str = "Do it."

    @property
    def prompt(self) -> str:
        """The prompt, which carries its script."""
        return script(*map(dict, self.steps), say=self.says)

    def element(self, name: str) -> dict[str, Any]:
        """The element of a prompts file.

        Args:
            name: The scenario's name, from which the task's id is made.
        """
        task_id = name.replace(" ", "-").replace(",", "")
        return {"id": task_id, "prompt": self.prompt} | dict(self.options)


def _says(text: str = "done", **more: Any) -> dict[str, Any]:
    return {"text": text, "usage": _USAGE, **more}


def _calls(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "input": arguments, "usage": _USAGE}


def _bash(command: str, **more: Any) -> dict[str, Any]:
    return _calls("Bash", command=command, description="Run it", **more)


def _fails(status: int, message: str = "refused", **more: Any) -> dict[str, Any]:
    return _says("after all", fail={"status": status, "message": message, **more})


_WRITES = _calls("Write", file_path="{cwd}/written.txt", content="x\n")
_READS = _calls("Read", file_path="{cwd}/given.txt")
_ALLOW = {"allow": ["Bash(cat:*)", "Bash(ls:*)", "Bash(sleep:*)"]}
_FORBIDDEN = _bash("curl -s http://127.0.0.1:9")
_STRUCTURE = {"schema": _SCHEMA, "task_budget_usd": 1.0}
_AGENT = {"description": "help", "prompt": script(_says("its words")), "subagent_type": "Explore"}

SCENARIOS: Mapping[str, Scenario] = {
    "answer": Scenario((_says("hello"),), _ALLOW),
    "long answer": Scenario((_says("äöü 𝒳 \u2028 " * 20_000, chunks=50),), _ALLOW),
    "thinking": Scenario((_says("thought", thinking="hm"),), _ALLOW),
    "empty answer": Scenario((_says(""),), _ALLOW),
    "tools": Scenario((_READS, _bash("cat given.txt"), _says()), _ALLOW),
    "tools at once": Scenario(
        (
            {
                "tools": [["Bash", {"command": f"ls {word}"}] for word in ("given.txt", ".")],
                "usage": _USAGE,
            },
            _says(),
        ),
        _ALLOW,
    ),
    "a tool that fails": Scenario((_bash("ls /none"), _says()), _ALLOW),
    "file written": Scenario((_WRITES, _says()), _ALLOW),
    "denied": Scenario((_FORBIDDEN, _says("could not")), _ALLOW),
    "denied counts": Scenario((_FORBIDDEN, _says()), {**_ALLOW, "fail_on_denied": True}),
    "max tokens": Scenario((_says("cut off", stop="max_tokens"),), _ALLOW),
    "refusal": Scenario((_says("I can't.", stop="refusal"),), _ALLOW),
    "error 400": Scenario((_fails(400),), _ALLOW),
    "prompt too long": Scenario(
        (_fails(400, "prompt is too long: 300000 tokens > 200000 maximum"),), _ALLOW
    ),
    "credit too low": Scenario((_fails(400, "Your credit balance is too low"),), _ALLOW),
    "error 404": Scenario((_fails(404, type="not_found_error"),), _ALLOW),
    "error 413": Scenario((_fails(413, type="request_too_large"),), _ALLOW),
    "error 500 once": Scenario((_fails(500, times=1),), _ALLOW),
    "error 529": Scenario((_fails(529),), {**_ALLOW, "attempts": 1}),
    "connection lost": Scenario((_fails(0),), {**_ALLOW, "attempts": 1}),
    "cut once": Scenario((_says("whole after all", cut={"after": 1, "times": 1}),), _ALLOW),
    "an error in the stream": Scenario(
        (_says("fine", error_event={"type": "overloaded_error", "message": "no", "times": 1}),),
        _ALLOW,
    ),
    "killed, continued": Scenario(
        (_bash("kill -9 $PPID"), _says("finished")), {"permissions": "all"}
    ),
    "a command in the background": Scenario(
        (
            _bash("sleep 0.2", run_in_background=True),
            _says("the answer"),
            _says("noted", notification=1),
        ),
        _ALLOW,
    ),
    "trouble after the answer": Scenario(
        (
            _bash("sleep 0.2", run_in_background=True),
            _says("the answer"),
            _says("", notification=1, fail={"status": 400}),
        ),
        _ALLOW,
    ),
    "left running": Scenario(
        (_bash("sleep 600", run_in_background=True), _says("it runs")),
        {**_ALLOW, "linger_s": 1.0},
    ),
    "an agent": Scenario(
        (_calls("Agent", **_AGENT), _says("it has helped")), {"permissions": "all"}
    ),
    "structure": Scenario(({"so": {"n": 2}, "usage": _USAGE}, _says("two")), _STRUCTURE),
    "no structure": Scenario((_says("none"),), {**_STRUCTURE, "task_budget_usd": 0.03}),
    "bad structure": Scenario(
        ({"so": {"n": "many"}, "usage": _USAGE},), {**_STRUCTURE, "task_budget_usd": 0.1}
    ),
    "max turns": Scenario((_bash("ls"),), {**_ALLOW, "max_turns": 2}),
    "budget": Scenario((_bash("ls"),), {**_ALLOW, "task_budget_usd": 0.000001}),
    "check fails": Scenario((_says(),), {**_ALLOW, "check": "test -e never", "attempts": 1}),
}
