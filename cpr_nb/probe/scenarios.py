"""The promises that the probe tries: for each, what a task does and what cpr must say of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from cpr_nb.model.cli_versions import Version


class OneOf(tuple[Any, ...]):
    """Values of which each is right; None stands for a figure that is said to be unknown."""

    __slots__ = ()


class Contains(str):
    """A text of which this must be a part."""

    __slots__ = ()


class Scenario(NamedTuple):
    """One promise.

    Attributes:
        name: What the table calls it, and the id of its task.
        promise: It, in one line.
        steps: What the scripted API answers to the task's prompt.
        expected: Field → value, of those that `cpr_nb.probe.seen` makes.
        options: Options of the task.
        group: The session that runs it: those of a group run side by side.
        follows: The scenario whose conversation it continues, in a new session.
        words: The prompt in front of its script, or a prompt without one.
        settings: The user settings of the CLI; with them it has a configuration of its own.
        since: The first version of the CLI that can keep the promise.
    """

    name: str
    promise: str
    steps: list[dict[str, Any]]
    expected: Mapping[str, Any]
    options: Mapping[str, Any] = {}
    group: str = "tasks"
    follows: str = ""
    words: str = "Do it."
    settings: Mapping[str, Any] = {}
    since: Version = (0, 0, 0)

    @property
    def prompt(self) -> str:
        """The prompt, which carries its script."""
        return f"{self.words} SCRIPT={json.dumps(self.steps)}" if self.steps else self.words


#: Every request costs the same, so a cost shows how many requests were counted.
USAGE = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}
SCHEMA = {
    "type": "object",
    "properties": {"bugs": {"type": "integer"}},
    "required": ["bugs"],
    "additionalProperties": False,
}
#: The options of a group's session; the others have none.
SESSION_OPTIONS: Mapping[str, Mapping[str, Any]] = {"asking": {"ask": True, "ask_s": 0.5}}
#: Few retries of the CLI's own, so that a lasting failure takes seconds and not minutes.
IMPATIENT = {"CLAUDE_CODE_MAX_RETRIES": "1"}
#: Nothing listens on this port.
NOWHERE = "http://127.0.0.1:9"
#: A cost: once per request that the API answered, no more and no less.
EXACT = {"cost": 1.0, "tokens": 1.0}
#: The same, or said to be unknown: never a wrong figure.
EXACT_OR_UNKNOWN = {name: OneOf((1.0, None)) for name in EXACT}

GOOD = {"outcome": "succeeded", "reason": "completed"}
#: Nothing but the tools of the permission mode, and all of those that every version has.
MODE_TOOLS_ONLY: Mapping[str, Any] = {"tools_beyond": [], "tools_missing": []}
#: The state directory of the probe, as agents in its folder see it.
STATE = "home/.local/state/cpr"
NO_SERVER = {"mcpServers": {"db": {"command": "/no/such/program"}}}
REFUSING_HOOK = {"type": "command", "command": "echo not on Fridays >&2; exit 2"}


def _says(text: str) -> dict[str, Any]:
    return {"text": text, "usage": USAGE}


def _calls(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "input": arguments, "usage": USAGE}


def _fails(status: int, **more: Any) -> list[dict[str, Any]]:
    return [{"fail": {"status": status, **more}, **_says("answered after all")}]


def _failed(reason: Any, **more: Any) -> dict[str, Any]:
    return {"outcome": "failed", "reason": reason, **more}


def _writes(name: str) -> dict[str, Any]:
    return _calls("Write", file_path=f"{{cwd}}/{name}", content="x\n")


def _shell(command: str, **more: Any) -> dict[str, Any]:
    return _calls("Bash", command=command, description="Run it", **more)


def _background(command: str) -> dict[str, Any]:
    return _shell(command, run_in_background=True)


def _noted(text: str, **more: Any) -> dict[str, Any]:
    """What the API answers when a notification has begun another turn."""
    return {**_says(text), "notification": 1, **more}


def _agent(text: str, **more: Any) -> dict[str, Any]:
    return _calls(
        "Agent",
        description="help",
        prompt=f"Help. SCRIPT={json.dumps([{**_says(text), **more}])}",
        subagent_type="general-purpose",
        run_in_background=True,
    )


SCENARIOS = (
    Scenario(
        "answer",
        "an answer is told, and its cost is that of its one request",
        [_says("hello")],
        {**GOOD, "text": "hello", "requests": 1, "denied": [], **EXACT, **MODE_TOOLS_ONLY},
    ),
    Scenario(
        "continue",
        "a run that lost its connection continues where it was, and each request counts once",
        [_shell("ls"), {"fail": {"status": 0, "times": 2}, **_says("finished")}],
        {**GOOD, "text": "finished", "attempts": 2, "requests": 2, **EXACT_OR_UNKNOWN},
        {"env": IMPATIENT, "allow": ["Bash(ls:*)"]},
    ),
    Scenario(
        "tools",
        "tools run as asked; requests, turns and cost are counted",
        [_writes("tools.txt"), _shell("cat tools.txt"), _says("wrote it")],
        {**GOOD, "text": "wrote it", "requests": 3, "turns": 3, "files": ["tools.txt"], **EXACT},
        {"allow": ["Bash(cat:*)"]},
    ),
    Scenario(
        "denied",
        "a tool call that was not allowed is told, and did not run",
        [_shell("touch denied.txt && curl -s http://127.0.0.1:9"), _says("could not")],
        {**GOOD, "denied": ["Bash"], "files": [], "requests": 2},
    ),
    Scenario(
        "fail on denied",
        "with fail_on_denied a denied call makes the task fail",
        [_shell("curl -s http://127.0.0.1:9"), _says("could not")],
        _failed("denied", denied=["Bash"]),
        {"fail_on_denied": True},
    ),
    Scenario(
        "read only",
        "permissions read: no file is written",
        [_writes("read-only.txt"), _says("could not")],
        {**GOOD, "files": [], **MODE_TOOLS_ONLY},
        {"permissions": "read"},
    ),
    Scenario(
        "schema",
        "an answer with the structure of its schema is delivered",
        [{"so": {"bugs": 2}, "usage": USAGE}, _says("two bugs")],
        {**GOOD, "structure": {"bugs": 2}, **EXACT},
        {"schema": SCHEMA, "task_budget_usd": 1.0},
    ),
    Scenario(
        "schema never",
        "an answer without its structure is no success",
        [_says("no structure")],
        {"outcome": "failed", "reason": OneOf(("no_structure", "bad_structure", "budget"))},
        {"schema": SCHEMA, "task_budget_usd": 0.03, "attempts": 1},
    ),
    Scenario(
        "schema bad",
        "an answer with a wrong structure is no success",
        [{"so": {"bugs": "many"}, "usage": USAGE}],
        {"outcome": "failed", "reason": OneOf(("bad_structure", "no_structure", "budget"))},
        {"schema": SCHEMA, "task_budget_usd": 0.1, "attempts": 1},
    ),
    Scenario(
        "max turns",
        "a run that max_turns stopped is no success",
        [_shell("ls")],
        _failed("max_turns"),
        {"max_turns": 2, "allow": ["Bash(ls:*)"]},
    ),
    Scenario(
        "task budget",
        "a run that task_budget_usd stopped is no success",
        [_shell("ls")],
        _failed("budget"),
        {"task_budget_usd": 0.000001, "allow": ["Bash(ls:*)"]},
    ),
    Scenario(
        "error 400",
        "a request that the API refuses fails at once, and runs once",
        _fails(400, message="refused by the probe"),
        _failed("api_error", attempts=1),
    ),
    Scenario(
        "error 429",
        "a passing refusal does no harm",
        _fails(429, times=1, headers={"retry-after": "1"}),
        {**GOOD, "text": "answered after all", **EXACT},
    ),
    Scenario(
        "error 529",
        "a lasting overload is a failure with its name",
        _fails(529),
        _failed("overloaded"),
        {"env": IMPATIENT, "attempts": 1},
    ),
    Scenario(
        "refused connection",
        "a connection that is refused is a failure of the network",
        [_says("never sent")],
        _failed("network"),
        {"env": {**IMPATIENT, "ANTHROPIC_BASE_URL": NOWHERE}, "attempts": 1},
    ),
    Scenario(
        "resume",
        "a run that was killed continues in its conversation",
        [_writes("resume.txt"), _shell("kill -9 $PPID"), _says("finished")],
        {**GOOD, "text": "finished", "attempts": 2, "files": ["resume.txt"], **MODE_TOOLS_ONLY},
        {"permissions": "all"},
    ),
    Scenario(
        "stop",
        "a cancelled task leaves no process behind",
        [_shell("echo $$ > stop.pid; sleep 600"), _says("slept")],
        {"outcome": "cancelled", "left": 0},
        {"permissions": "all"},
    ),
    Scenario(
        "background command",
        "a command in the background does not undo an answer, nor hide a denied call",
        [_writes("../outside.txt"), _background("sleep 0.2"), _says("done"), _noted("noted")],
        _failed("denied", denied=["Write"]),
        {"fail_on_denied": True, "allow": ["Bash(sleep:*)"]},
    ),
    Scenario(
        "later trouble",
        "an error after the answer does not undo the answer",
        [_background("sleep 0.2"), _says("the answer"), _noted("", fail={"status": 400})],
        {**GOOD, "text": "the answer", "attempts": 1, "note": True},
        {"allow": ["Bash(sleep:*)"]},
        since=(2, 1, 71),  # before, a command in the background begins no other turn
    ),
    Scenario(
        "left running",
        "a command that is left running is ended with its task, which has succeeded",
        [_background("echo $$ > left.pid; sleep 600"), _says("it runs")],
        {**GOOD, "text": "it runs", "note": True, "left": 0},
        {"permissions": "all", "linger_s": 1.0},
        since=(2, 1, 71),  # before, the CLI itself ends with its answer
    ),
    Scenario(
        "background agent",
        "the words of an agent in the background are not the answer",
        [_agent("its words", release="probe"), _says("my answer"), _noted("")],
        {**GOOD, "text": "my answer"},
        {"permissions": "all", "allow": ["Agent"]},
    ),
    Scenario(
        "refusing hook",
        "a prompt that a hook refuses is no success",
        [_says("never asked")],
        _failed("no_answer", requests=0),
        settings={"hooks": {"UserPromptSubmit": [{"hooks": [REFUSING_HOOK]}]}},
    ),
    Scenario(
        "words of a hook",
        "the words of a hook that refuses a prompt are told",
        [_says("never asked")],
        _failed("no_answer", error=Contains("not on Fridays")),
        since=(2, 1, 227),
        settings={"hooks": {"UserPromptSubmit": [{"hooks": [REFUSING_HOOK]}]}},
    ),
    Scenario(
        "command as prompt",
        "a prompt that only runs a command of the CLI is no success",
        [],
        _failed("no_answer", requests=0),
        words="/clear",
    ),
    Scenario(
        "failed server",
        "an MCP server that can't be used is told",
        [_says("hello")],
        {**GOOD, "warnings": Contains("MCP server db")},
        {"claude_args": ["--mcp-config", json.dumps(NO_SERVER)]},
        group="set-up",
    ),
    Scenario(
        "other mode",
        "a permission mode other than asked is told",
        [_says("hello")],
        {**GOOD, "warnings": Contains("the permission mode is default")},
        {"permissions": "all"},
        group="set-up",
        settings={"permissions": {"disableBypassPermissionsMode": "disable"}},
    ),
    Scenario(
        "off limits",
        "tools for files reach neither the results directory nor the state directory",
        [
            _writes("results/write.reached"),
            _shell("touch results/touch.reached"),
            _shell(f"cp {STATE}/key key.reached"),
            _writes(f"{STATE}/write.reached"),
            _says("could not"),
        ],
        {**GOOD, "reached": []},
        {"cwd": "."},
        group="off limits",
    ),
    Scenario(
        "off limits to commands",
        "commands in the sandbox reach neither of them either",
        [  # dd is a command whose paths the CLI itself does not check
            _shell("dd if=/dev/null of=results/dd.reached"),
            _shell(f"dd if=/dev/null of={STATE}/dd.reached"),
            _shell(f"dd if={STATE}/key of=key.reached"),
            _shell("dd if=/dev/null of=own.reached"),
            _says("could not"),
        ],
        # Some versions run no command in the sandbox on some machines: then nothing is reached.
        {**GOOD, "reached": OneOf((["own.reached"], []))},
        {"cwd": ".", "permissions": "sandbox"},
        group="sandbox",
    ),
    Scenario(
        "rejected key",
        "a key that the API rejects fails at once: waiting would not help",
        _fails(401),
        _failed("auth", attempts=1),
        {"env": IMPATIENT},
        group="login",
    ),
    Scenario(
        "unanswered question",
        "what the permissions would deny is asked; unanswered, it is denied with our own words",
        [_shell("curl -s http://127.0.0.1:9"), _says("could not")],
        {**GOOD, "denied": ["Bash"], "why": Contains("Nobody answered"), "requests": 2, **EXACT},
        group="asking",
    ),
    Scenario(
        "follow-up",
        "a follow-up knows its conversation, and costs what it costs itself",
        [_says("again")],
        {**GOOD, "text": "again", "requests": 1, "knows_before": True, **EXACT_OR_UNKNOWN},
        group="follow-ups",
        follows="answer",
    ),
    Scenario(
        "its follow-up",
        "a follow-up of a follow-up costs what it costs itself",
        [_says("once more")],
        {**GOOD, "text": "once more", "requests": 1, **EXACT_OR_UNKNOWN},
        group="their follow-ups",
        follows="follow-up",
    ),
)
