"""The scripted API, as the real CLI and as a plain HTTP client see it."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.offline.scripted_api import RequestRecord, ScriptedApi, cli_environment

LIMIT_S = 120.0  # Ends a test that hangs; no test's outcome depends on how fast it is.
REPOSITORY = Path(__file__).parents[2]


def script(*steps: dict[str, Any]) -> str:
    return "Do it. SCRIPT=" + json.dumps(list(steps)) + " Thanks."


# --- The real CLI -------------------------------------------------------------------------------


def find_cli() -> str | None:
    found = os.environ.get("CPR_CLAUDE") or shutil.which("claude")
    if found:
        return found
    sdk = importlib.util.find_spec("claude_agent_sdk")
    bundled = Path(sdk.origin).parent / "_bundled" / "claude" if sdk and sdk.origin else None
    return str(bundled) if bundled and bundled.exists() else None


class Run:
    """One run of the CLI, whose process ends with the test."""

    def __init__(
        self, cli: str, folder: Path, api: ScriptedApi, prompt: bytes, *flags: str
    ) -> None:
        work = folder / "work ö {x} 'y"
        work.mkdir(parents=True)
        self.cwd = work
        (folder / "prompt").write_bytes(prompt)
        command = [cli, "-p", "--output-format", "stream-json", "--verbose", *flags]
        with (folder / "prompt").open("rb") as stdin:
            self.process = subprocess.Popen(
                command,
                cwd=work,
                env=cli_environment(api.url, folder / "home"),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )

    def finish(self) -> list[dict[str, Any]]:
        out, err = self.process.communicate(timeout=LIMIT_S)
        lines = [json.loads(line) for line in out.splitlines()]
        assert lines, err
        return lines

    def result(self) -> dict[str, Any]:
        result = self.finish()[-1]
        assert result["type"] == "result"
        return result


class Cli:
    def __init__(self, path: str, folder: Path) -> None:
        self.path, self.folder, self.runs = path, folder, list[Run]()

    def __call__(self, api: ScriptedApi, prompt: str | bytes, *flags: str) -> Run:
        data = prompt.encode() if isinstance(prompt, str) else prompt
        run = Run(self.path, self.folder / f"run{len(self.runs)}", api, data, *flags)
        self.runs.append(run)
        return run


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as server:
        yield server


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    path = find_cli()
    if path is None:
        pytest.skip("no Claude CLI: set CPR_CLAUDE, or put claude on PATH, or install the SDK")
    start = Cli(path, tmp_path)
    yield start
    for run in start.runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.communicate()


@pytest.mark.real_cli
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


@pytest.mark.real_cli
@pytest.mark.parametrize("flags", [[], ["--exclude-dynamic-system-prompt-sections"]])
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


@pytest.mark.real_cli
def test_cli_names_its_folder_also_in_a_bare_run(api: ScriptedApi, cli: Cli) -> None:
    shell = {"command": 'printf bare > "{cwd}/shell.txt"', "description": "write"}
    prompt = script({"tool": "Bash", "input": shell}, {"text": "done"})
    run = cli(api, prompt, "--bare", "--allowedTools", "Bash")
    assert run.result()["result"] == "done"
    assert (run.cwd / "shell.txt").read_text() == "bare"


@pytest.mark.real_cli
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


@pytest.mark.real_cli
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


@pytest.mark.real_cli
def test_cli_recovers_from_a_cut_and_from_a_dropped_connection(api: ScriptedApi, cli: Cli) -> None:
    step = {"fail": {"status": 0, "times": 1}, "cut": {"after": 2, "times": 2}}
    result = cli(api, script({**step, "text": "0123456789"})).result()
    assert (result["is_error"], result["result"]) == (False, "0123456789")
    assert [record.attempt for record in api.requests] == [1, 2, 3]


@pytest.mark.real_cli
def test_cli_gets_structured_output_also_after_a_reminder(api: ScriptedApi, cli: Cli) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    prompt = script({"text": "Oops, no tool."}, {"so": {"n": 7}})
    result = cli(api, prompt, "--json-schema", json.dumps(schema)).result()
    assert (result["is_error"], result["structured_output"]) == (False, {"n": 7})
    assert "StructuredOutput" in api.requests[0].tools


@pytest.mark.real_cli
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


@pytest.mark.real_cli
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_cli_passes_a_prompt_on_byte_for_byte(api: ScriptedApi, cli: Cli, prompt: str) -> None:
    assert not cli(api, prompt).result()["is_error"]
    (record,) = api.requests
    assert record.last_user_blocks[-1].encode() == prompt.encode()
    assert record.last_user_text.endswith(prompt)


@pytest.mark.real_cli
def test_cli_waits_until_its_answer_is_released(api: ScriptedApi, cli: Cli) -> None:
    held = cli(api, script({"wait": "go", "text": "released"}))
    record = api.wait_for(lambda record: "SCRIPT=" in record.last_user_text, LIMIT_S)
    assert cli(api, "A task that need not wait.").result()["is_error"] is False
    assert held.process.poll() is None
    api.release("go")
    result = held.result()
    assert (result["result"], result["session_id"]) == ("released", record.conversation_id)


# --- A plain client -----------------------------------------------------------------------------


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        chunks = self.body.decode().split("\n\n")[:-1]
        return [json.loads(chunk.partition("\ndata: ")[2]) for chunk in chunks]

    @property
    def deltas(self) -> list[str]:
        return [e["delta"]["text"] for e in self.events if "text" in e.get("delta", {})]

    @property
    def text(self) -> str:
        return str(self.json["content"][0]["text"])


def user(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


ASSISTANT = {"role": "assistant", "content": [{"type": "text", "text": "said"}]}


def raw(api: ScriptedApi, method: str, path: str, body: bytes, session: str = "s") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=LIMIT_S)
    try:
        connection.request(method, path, body, {"x-claude-code-session-id": session})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def ask(
    api: ScriptedApi, *messages: dict[str, Any] | str, session: str = "s", **extra: Any
) -> Answer:
    turns = [user(message) if isinstance(message, str) else message for message in messages]
    body = json.dumps({"model": "some-model", "messages": turns, **extra}).encode()
    return raw(api, "POST", "/v1/messages?beta=true", body, session)


def test_answer_without_a_stream(api: ScriptedApi) -> None:
    step = {"thinking": "hm", "text": "hi", "tool": "T", "input": {"a": 1}, "headers": {"x-y": "z"}}
    answer = ask(api, script(step))
    kinds = [block["type"] for block in answer.json["content"]]
    assert kinds == ["thinking", "text", "tool_use"]
    assert (answer.json["model"], answer.json["stop_reason"]) == ("some-model", "tool_use")
    assert answer.headers["x-y"] == "z"


def test_answer_as_a_stream(api: ScriptedApi) -> None:
    step = {"text": "abcdefg", "chunks": 3, "so": {"n": 1}, "stop": "max_tokens", "delay_s": 0.001}
    answer = ask(api, script(step), stream=True)
    assert answer.deltas == ["abc", "def", "g"]
    names = [event["type"] for event in answer.events]
    assert (names[0], names[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert answer.events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert answer.events[0]["message"]["model"] == "some-model"
    (tool,) = [e["delta"]["partial_json"] for e in answer.events if "partial_json" in str(e)]
    assert json.loads(tool) == {"n": 1}


def test_cut_drops_the_stream_and_then_lets_it_pass(api: ScriptedApi) -> None:
    prompt = script({"text": "abcdefgh", "cut": {"after": 2, "times": 1}})
    cut, whole = ask(api, prompt, stream=True), ask(api, prompt, stream=True)
    assert (cut.deltas, cut.events[-1]["type"]) == (["ab", "cd"], "content_block_delta")
    assert ("".join(whole.deltas), whole.events[-1]["type"]) == ("abcdefgh", "message_stop")


def test_cut_without_text_strikes_at_the_end(api: ScriptedApi) -> None:
    answer = ask(api, script({"tool": "Bash", "input": {}, "cut": {}}), stream=True)
    assert answer.events[-1]["type"] == "content_block_stop"


def test_error_event_ends_the_stream(api: ScriptedApi) -> None:
    error = {"type": "api_error", "message": "broken", "times": 1}
    prompt = script({"text": "abcd", "error_event": error})
    broken, whole = ask(api, prompt, stream=True), ask(api, prompt, stream=True)
    assert broken.deltas == ["a"]
    assert broken.events[-1]["error"] == {"type": "api_error", "message": "broken"}
    assert whole.events[-1]["type"] == "message_stop"


def test_fail_with_status_0_drops_the_connection(api: ScriptedApi) -> None:
    prompt = script({"fail": {"status": 0, "times": 1}, "text": "later"})
    with pytest.raises(http.client.RemoteDisconnected):
        ask(api, prompt)
    assert ask(api, prompt).text == "later"


def test_fail_answers_the_scripted_error(api: ScriptedApi) -> None:
    fail = {"status": 529, "message": "busy", "headers": {"retry-after": "3"}}
    answer = ask(api, script({"fail": fail}))
    assert (answer.status, answer.headers["retry-after"]) == (529, "3")
    assert answer.json["error"] == {"type": "overloaded_error", "message": "busy"}


def test_attempts_count_by_conversation_step_and_turn(api: ScriptedApi) -> None:
    prompt = script({"fail": {"status": 500, "times": 1}, "text": "ok"})
    turns: list[tuple[str, list[dict[str, Any] | str]]] = [
        ("one", [prompt]),
        ("two", [prompt]),
        ("one", [prompt, ASSISTANT, prompt]),  # the same script in a later turn
        ("one", [user(prompt, prompt)]),  # and in one that follows a failed turn
    ]
    for session, messages in turns:
        assert ask(api, *messages, session=session).status == 500
        assert ask(api, *messages, session=session).status == 200
    assert [record.attempt for record in api.requests] == [1, 2] * len(turns)


def test_steps_follow_the_replies_and_the_last_one_repeats(api: ScriptedApi) -> None:
    prompt = script({"text": "zero"}, {"text": "one"})
    nudge = user("[structured-output-enforce] Call the tool now. SCRIPT=oops")
    result = {"role": "user", "content": [{"type": "tool_result", "content": "SCRIPT=oops"}]}
    assert ask(api, prompt).text == "zero"
    assert ask(api, prompt, ASSISTANT, nudge).text == "one"
    assert ask(api, prompt, ASSISTANT, nudge, ASSISTANT, result).text == "one"
    assert ask(api, prompt, ASSISTANT, prompt).text == "zero"
    assert [record.step for record in api.requests] == [0, 1, 1, 0]


def test_the_last_script_of_a_prompt_counts_but_none_inside_a_string(api: ScriptedApi) -> None:
    inner = {"tool": "Agent", "input": {"prompt": script({"text": "inner"})}}
    answer = ask(api, script({"text": "early"}) + script(inner))
    assert answer.json["content"][0]["name"] == "Agent"
    assert ask(api, "MY_SCRIPT=no list").text == "Hello from the scripted API."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SCRIPT=[{]", "SCRIPT= at character 0 of the prompt: Expecting property name"),
        ("go SCRIPT=run.sh", "SCRIPT= at character 3 of the prompt: Expecting value"),
        ("SCRIPT=[]", "steps: expected a list of steps"),
        ("SCRIPT=[1]", "steps[0]: expected an object, found 1"),
        ('SCRIPT=[{"text": 1}]', "steps[0].text: expected a string, found 1"),
        ('SCRIPT=[{"chunks": true}]', "steps[0].chunks: expected a whole number, found true"),
        ('SCRIPT=[{"hang_s": NaN}]', "steps[0].hang_s: out of range"),
        ('SCRIPT=[{"cut": {"when": 1}}]', "steps[0].cut.when: unknown key"),
        ('SCRIPT=[{}, {"fail": {}}]', "steps[1].fail.status: expected 0 or 400 to 599"),
        ('SCRIPT=[{"tools": [["Bash"]]}]', "steps[0].tools: expected [name, input]"),
        ('SCRIPT=[{"headers": {"a": "b\\nc"}}]', "steps[0]: not a header"),
        ('SCRIPT=[{"so": {"x": "{cwd}"}}]', "{cwd}: the request names no working directory"),
    ],
)
def test_a_bad_script_answers_what_is_wrong(api: ScriptedApi, text: str, message: str) -> None:
    answer = ask(api, text)
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert message in answer.json["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"messages": 1}', b'{"messages": [1]}'])
def test_a_bad_request_answers_400(api: ScriptedApi, body: bytes) -> None:
    assert raw(api, "POST", "/v1/messages", body).status == 400


def test_a_file_serves_prompts_that_carry_no_script(tmp_path: Path) -> None:
    rules = [
        {"match": "^Sum", "steps": [{"text": "sum 0"}, {"text": "sum 1"}]},
        {"match": "(?i)sum", "steps": [{"text": "other"}]},
    ]
    file = tmp_path / "script.json"
    default = [{"text": "default 0"}, {"text": "default 1"}]
    file.write_text(json.dumps({"rules": rules, "default": default}))
    with ScriptedApi(file) as api:
        assert ask(api, "Sum it up").text == "sum 0"
        assert ask(api, "Sum it up", ASSISTANT).text == "sum 1"
        assert ask(api, "assume").text == "other"
        assert ask(api, "Sum it up", ASSISTANT, "resume").text == "other"
        assert ask(api, "else", ASSISTANT, "else").text == "default 0"
        assert ask(api, "else", ASSISTANT).text == "default 1"
        assert ask(api, "Sum it up" + script({"text": "own"})).text == "own"


@pytest.mark.parametrize(
    "bad",
    [
        {"rule": []},
        {"rules": [{"match": "(", "steps": [{}]}]},
        {"rules": [{"steps": [{}]}]},
        {"rules": [{"match": "x"}]},
        {"default": [{"txt": ""}]},
        [],
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, bad: object) -> None:
    file = tmp_path / "script.json"
    file.write_text(json.dumps(bad))
    with pytest.raises(ValueError, match="script"):
        ScriptedApi(file)


def test_other_requests(api: ScriptedApi) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=LIMIT_S)
    for method, body in [("HEAD", b""), ("GET", b"{}"), ("HEAD", b""), ("GET", b"{}")]:
        connection.request(method, "/")  # all on one connection: a stray body would break it
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, body)
    connection.close()
    assert raw(api, "POST", "/v1/messages/count_tokens", b"x" * 40).json == {"input_tokens": 10}
    assert [record.path for record in api.requests][-1] == "/v1/messages/count_tokens"
    assert {record.step for record in api.requests} == {-1}


def test_wait_for_gives_up(api: ScriptedApi) -> None:
    ask(api, "hello")
    with pytest.raises(TimeoutError, match="1 request"):
        api.wait_for(lambda record: record.model == "another", timeout_s=0)
    assert isinstance(api.wait_for(lambda record: True, timeout_s=0), RequestRecord)


def test_a_release_also_counts_for_later_requests(api: ScriptedApi) -> None:
    api.release("early")
    assert ask(api, script({"wait": "early", "text": "at once"})).text == "at once"


def test_close_ends_whatever_goes_on_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def state() -> tuple[set[threading.Thread], set[str]]:
        return set(threading.enumerate()), set(os.listdir("/dev/fd"))  # noqa: PTH208

    before = state()
    steps: list[dict[str, Any]] = [{"wait": "never"}, {"hang_s": 3600}, {"fail": {"status": 0}}]
    with ThreadPoolExecutor(len(steps)) as pool:
        api = ScriptedApi(log_path=tmp_path / "log.jsonl")
        going = [pool.submit(ask, api, script(step), stream=True) for step in steps]
        idle = http.client.HTTPConnection("127.0.0.1", api.port, timeout=LIMIT_S)
        idle.request("GET", "/")
        idle.getresponse().read()
        slow = http.client.HTTPConnection("127.0.0.1", api.port, timeout=LIMIT_S)
        prompt = user(script({"text": "abcd", "delay_s": 3600}))
        slow.request("POST", "/v1/messages", json.dumps({"messages": [prompt], "stream": True}))
        stream = slow.getresponse()
        assert stream.readline() == b"event: message_start\n"
        api.wait_for(lambda record: record.seq == len(steps) + 2, LIMIT_S)
        api.close()
        assert b"message_stop" not in stream.read()
        ends = [client.exception(LIMIT_S) for client in going]
        idle.close()
        slow.close()
        api.close()
    assert [type(end) for end in ends] == [http.client.RemoteDisconnected] * len(steps)
    assert state() == before
    with pytest.raises(ConnectionRefusedError):
        ask(api, "anybody there?")


def test_many_clients_at_once(api: ScriptedApi) -> None:
    barrier = threading.Barrier(64)

    def client(number: int) -> str:
        barrier.wait(LIMIT_S)
        prompt = script({"fail": {"status": 500, "times": 1}, "text": str(number)})
        assert ask(api, prompt, session=f"s{number}").status == 500
        return ask(api, prompt, session=f"s{number}").text

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(client, range(64))) == [str(number) for number in range(64)]
    assert [record.seq for record in api.requests] == list(range(1, 129))


# --- The environment and the command ------------------------------------------------------------


def test_environment_is_complete_and_takes_nothing_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    environment = cli_environment("http://127.0.0.1:1", tmp_path, path="/p", tmpdir=tmp_path / "t")
    assert environment == {
        "PATH": "/p",
        "HOME": str(tmp_path),
        "CLAUDE_CONFIG_DIR": str(tmp_path / ".claude"),
        "TMPDIR": str(tmp_path / "t"),
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
        "ANTHROPIC_API_KEY": "dummy",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }
    assert "/bin" in cli_environment("http://[::1]:8080/", tmp_path)["PATH"].split(":")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.anthropic.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1:80@example.com",
        "http://example.com\\@127.0.0.1",
        "http://example.com#@127.0.0.1",
        "http://0.0.0.0:80",
        "http://localhost.example.com",
        " http://127.0.0.1",
        "http://127.0.0.1\n",
        "",
    ],
)
def test_environment_refuses_every_other_host(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a loopback URL"):
        cli_environment(url, tmp_path)


def start_command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cpr_nb.offline.scripted_api", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_serves_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    file, log = tmp_path / "script.json", tmp_path / "log.jsonl"
    file.write_text('{"default": [{"text": "from the file"}]}')
    with start_command("--script", str(file), "--log", str(log)) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = line.removeprefix("listening on http://127.0.0.1:")
            connection = http.client.HTTPConnection("127.0.0.1", int(url), timeout=LIMIT_S)
            connection.request("POST", "/v1/messages", json.dumps({"messages": [user("hi")]}))
            answer = json.loads(connection.getresponse().read())
            assert answer["content"][0]["text"] == "from the file"
            process.send_signal(number)  # while the client is still connected
            out, err = process.communicate(timeout=LIMIT_S)
            connection.close()
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    (record,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (record["path"], record["last_user_blocks"]) == ("/v1/messages", ["hi"])


def test_command_explains_what_it_can_not_do(api: ScriptedApi, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"default": [{"txt": ""}]}')
    for arguments, reason in [
        (("--script", str(tmp_path / "bad.json")), "script.default[0].txt: unknown key"),
        (("--script", str(tmp_path / "none.json")), "No such file"),
        (("--port", str(api.port)), "Address already in use"),
    ]:
        with start_command(*arguments) as process:
            _, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 2
        assert reason in err
