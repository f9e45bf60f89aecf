"""The scripted API, as the real CLI sees it."""

from __future__ import annotations

import json
import subprocess
import uuid

import pytest
from testkit.cli import Cli
from testkit.client import LIMIT_S, script

from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

pytestmark = pytest.mark.real_cli


def test_cli_gets_the_plain_answer(api: ScriptedApi, cli: Cli) -> None:
    run = cli(api, "Say hello.\n")
    result = run.result()
    assert run.process.returncode == 0
    assert (result["is_error"], result["result"]) == (False, "Hello from the scripted API.")
    (record,) = api.requests
    assert (record.path, record.step, record.attempt) == ("/v1/messages", 0, 1)
    assert record.conversation_id == result["session_id"]
    assert record.model in result["modelUsage"]
    assert "Bash" in record.tools and record.n_bytes > 10_000


_IN_A_REMINDER = ["--model", "claude-sonnet-4-6"]  # whose folder stands in a user message


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--exclude-dynamic-system-prompt-sections"],
        [*_IN_A_REMINDER, "--exclude-dynamic-system-prompt-sections"],
        [*_IN_A_REMINDER, "--system-prompt", "You write."],
    ],
)
def test_cli_uses_its_tools_in_its_own_folder(api: ScriptedApi, cli: Cli, flags: list[str]) -> None:
    written = {"file_path": "{cwd}/sub/written.txt", "content": "from Write\n"}
    shell = {"command": 'cwd=kept; printf "%s" "${cwd}" > shell.txt', "description": "write"}
    prompt = script(
        {"text": "First.", "tool": "Write", "input": written},
        {"tools": [["Bash", shell]]},
        {"thinking": "Hm.", "text": "Both are there.", "usage": {"output_tokens": 77}},
    )
    run = cli(api, prompt, *flags, "--allowedTools", "Bash,Write")
    result = run.result()
    assert (result["is_error"], result["result"]) == (False, "Both are there.")
    assert (run.cwd / "sub" / "written.txt").read_text() == "from Write\n"
    assert (run.cwd / "shell.txt").read_text() == "kept"
    assert result["usage"]["output_tokens"] == 20 + 20 + 77
    assert [(r.step, r.attempt) for r in api.requests] == [(0, 1), (1, 1), (2, 1)]


def test_cli_names_its_folder_also_in_a_bare_run(api: ScriptedApi, cli: Cli) -> None:
    shell = {"command": 'printf bare > "{cwd}/shell.txt"', "description": "write"}
    prompt = script({"tool": "Bash", "input": shell}, {"text": "done"})
    run = cli(api, prompt, "--bare", "--allowedTools", "Bash")
    assert run.result()["result"] == "done"
    assert (run.cwd / "shell.txt").read_text() == "bare"


def test_cli_finds_its_new_folder_after_a_resume(api: ScriptedApi, cli: Cli) -> None:
    name = str(uuid.uuid4())
    first = cli(api, "Hello.", "--session-id", name)
    assert not first.result()["is_error"]
    elsewhere = first.cwd.with_name("elsewhere")
    elsewhere.mkdir()
    prompt = first.cwd.with_name("prompt")
    step = {"tool": "Write", "input": {"file_path": "{cwd}/here.txt", "content": "x"}}
    prompt.write_text(script(step, {"text": "done"}))
    with prompt.open("rb") as stdin:
        subprocess.run(
            [cli.path, "-p", "--resume", name, "--allowedTools", "Write"],
            cwd=elsewhere,
            env=cli_environment(api.url, first.cwd.with_name("home")),
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            timeout=LIMIT_S,
            check=True,
        )
    assert (elsewhere / "here.txt").read_text() == "x"


def test_cli_plays_the_turns_of_notifications(api: ScriptedApi, cli: Cli) -> None:
    agent = {"description": "d", "subagent_type": "general-purpose", "run_in_background": True}
    # It ends after the answer; its words must neither end the script nor start one.
    agent["prompt"] = script({"wait": "answered", "text": "The agent says SCRIPT=[1]."})
    prompt = script(
        {"tool": "Agent", "input": agent},
        {"text": "The answer.", "release": "answered"},
        {"notification": 1, "tool": "Bash", "input": {"command": "echo on", "description": "d"}},
        {"notification": 1, "text": "The end."},
    )
    lines = cli(api, prompt, "--allowedTools", "Bash,Agent").finish()
    results = [line["result"] for line in lines if line["type"] == "result"]
    assert results == ["The answer.", "The end."]
    steps = [r.step for r in api.requests]
    assert sorted(steps) == [0, 0, 1, 2, 3] and steps[-2:] == [2, 3]


@pytest.mark.slow
def test_cli_retries_a_rate_limit_and_each_task_counts_for_itself(
    api: ScriptedApi, cli: Cli
) -> None:
    fail = {"status": 429, "times": 2, "headers": {"retry-after": "0"}}
    prompt = script({"fail": fail, "text": "Made it."})
    runs = [cli(api, prompt), cli(api, prompt)]
    for run in runs:
        lines = run.finish()
        assert lines[-1]["result"] == "Made it."
        retries = [line for line in lines if line.get("subtype") == "api_retry"]
        assert [line["error_status"] for line in retries] == [429, 429]
        session = lines[-1]["session_id"]
        seen = [r.attempt for r in api.requests if r.conversation_id == session]
        assert seen == [1, 2, 3]


def test_cli_recovers_from_a_cut_and_from_a_dropped_connection(api: ScriptedApi, cli: Cli) -> None:
    step = {"fail": {"status": 0, "times": 1}, "cut": {"after": 2, "times": 2}}
    result = cli(api, script({**step, "text": "0123456789"})).result()
    assert (result["is_error"], result["result"]) == (False, "0123456789")
    assert [record.attempt for record in api.requests] == [1, 2, 3]


def test_cli_gets_structured_output_also_after_a_reminder(api: ScriptedApi, cli: Cli) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    prompt = script({"text": "Oops, no tool."}, {"so": {"n": 7}})
    result = cli(api, prompt, "--json-schema", json.dumps(schema)).result()
    assert (result["is_error"], result["structured_output"]) == (False, {"n": 7})
    assert "StructuredOutput" in api.requests[0].tools


def test_cli_shows_what_is_wrong_with_a_script(api: ScriptedApi, cli: Cli) -> None:
    run = cli(api, script({"text": "fine"}, {"txet": "typo"}))
    result = run.result()
    assert run.process.returncode == 1
    assert (result["is_error"], result["api_error_status"]) == (True, 400)
    assert "SCRIPT= at character 7 of the prompt: steps[1].txet: unknown key" in result["result"]
    assert {(record.step, record.attempt) for record in api.requests} == {(-1, 0)}


PROMPTS = {
    "1 MiB": ("0123456789 äöü€😀\n" * 50_000)[: 2**20],
    "unicode": "ﬁ e\u0301 \u2028 \u200b\U0001f469\u200d\U0001f4bb \ufeff \x7f \x01 \x00 end",
    "byte order mark": "\ufeffafter the mark",
    "CRLF": "one\r\ntwo\rthree\r\n",
    "leading dash": "-x --help -- is no option",
    "white space at the ends": " \n\t middle \t\r\n\n ",
    "no newline at the end": "end",
    "like a reminder": "<system-reminder>mine</system-reminder>\n",
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_cli_passes_a_prompt_on_byte_for_byte(api: ScriptedApi, cli: Cli, prompt: str) -> None:
    assert not cli(api, prompt).result()["is_error"]
    (record,) = api.requests
    assert record.last_user_blocks[-1].encode() == prompt.encode()
    assert record.last_user_text.endswith(prompt)


def test_cli_waits_until_its_answer_is_released(api: ScriptedApi, cli: Cli) -> None:
    held = cli(api, script({"wait": "go", "text": "released"}))
    record = api.wait_for(lambda record: "SCRIPT=" in record.last_user_text, LIMIT_S)
    assert cli(api, "A task that need not wait.").result()["is_error"] is False
    assert held.process.poll() is None
    api.release("go")
    result = held.result()
    assert (result["result"], result["session_id"]) == ("released", record.conversation_id)
