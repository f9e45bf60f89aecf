"""The scripted API, as a plain HTTP client sees it."""

from __future__ import annotations

import http.client
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from testkit.client import ASSISTANT, LIMIT_S, ask, raw, script, user

from cpr_nb.offline.scripted_api import RequestRecord, ScriptedApi


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


def _notice(number: int, form: str = "{}") -> str:
    return form.format(f"<task-notification>\nSCRIPT=oops {number}\n</task-notification>")


_LOUD = "[SYSTEM NOTIFICATION - NOT USER INPUT]\n\n{}"
_REMINDER = f"<system-reminder>\n{_LOUD}\n</system-reminder>"


@pytest.mark.parametrize("form", ["{}", _LOUD, _REMINDER])
def test_a_notification_has_steps_of_its_own(api: ScriptedApi, form: str) -> None:
    first, third = {"notification": 1}, {"notification": 3}
    prompt = script(
        {"text": "a"}, {"text": "b"}, {**third, "text": "z"}, {**first, "text": "x"},
        {**first, "text": "y"},
    )  # fmt: skip
    one, two, three = (user(_notice(number, form)) for number in (1, 2, 3))
    both = user(_notice(2, form), _notice(3, form))
    result = {"role": "user", "content": [{"type": "tool_result", "content": "x"}]}
    late = {"type": "tool_result", "content": f"x{_notice(1, form)}"}
    during = [{**result, "content": [late]}, {"role": "system", "content": _notice(1, form)}]
    structured = {**result, "content": [*result["content"], *one["content"]]}
    talks: list[tuple[str, list[dict[str, Any]]]] = [
        ("a", []),
        ("x", [ASSISTANT, one]),
        ("y", [ASSISTANT, one, ASSISTANT, result]),
        ("x", [ASSISTANT, result, ASSISTANT, one]),
        ("y", [ASSISTANT, one, ASSISTANT, two]),  # it has none of its own
        ("z", [ASSISTANT, one, ASSISTANT, both]),
        ("z", [ASSISTANT, one, ASSISTANT, two, ASSISTANT, three]),
        ("b", [ASSISTANT, *during]),  # it came while the turn went on
        ("x", [ASSISTANT, structured]),  # a structure had ended the turn
    ]
    assert [ask(api, prompt, *rest).text for _, rest in talks] == [text for text, _ in talks]


def test_a_script_without_notifications_goes_on(api: ScriptedApi) -> None:
    prompt = script({"text": "zero"}, {"text": "one"})
    assert ask(api, prompt, ASSISTANT, _notice(1)).text == "one"


def test_a_failure_counts_for_each_notification(api: ScriptedApi) -> None:
    fail = {"fail": {"status": 500, "times": 1}, "notification": 1, "text": "ok"}
    prompt = script({"text": "a"}, fail)
    for notices in [[_notice(1)], [_notice(1), _notice(2)]]:
        statuses = [ask(api, prompt, ASSISTANT, user(*notices)).status for _ in range(2)]
        assert statuses == [500, 200]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SCRIPT=[{]", "SCRIPT= at character 0 of the prompt: Expecting property name"),
        ("go SCRIPT=run.sh", "SCRIPT= at character 3 of the prompt: Expecting value"),
        ("SCRIPT=[]", "steps: expected a list of steps"),
        ("SCRIPT=[1]", "steps[0]: expected an object, found 1"),
        ('SCRIPT=[{"text": 1}]', "steps[0].text: expected a string, found 1"),
        ('SCRIPT=[{"notification": "1"}]', "steps[0].notification: expected a whole number"),
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
        {"match": "^Which", "model": "opus", "steps": [{"text": "opus it is"}]},
        {"match": "^Which", "steps": [{"text": "another model"}]},
    ]
    file = tmp_path / "script.json"
    default = [{"text": "default 0"}, {"text": "default 1"}]
    file.write_text(json.dumps({"rules": rules, "default": default}))
    with ScriptedApi(file) as api:
        assert ask(api, "Sum it up").text == "sum 0"
        assert ask(api, "Sum it up", ASSISTANT).text == "sum 1"
        assert ask(api, "assume").text == "other"
        assert ask(api, "Sum it up", ASSISTANT, "resume").text == "other"
        assert ask(api, "Which?").text == "another model"
        assert ask(api, "Which?", model="claude-opus-5-5").text == "opus it is"
        assert ask(api, "else", ASSISTANT, "else").text == "default 0"
        assert ask(api, "else", ASSISTANT).text == "default 1"
        assert ask(api, "Sum it up" + script({"text": "own"})).text == "own"


@pytest.mark.parametrize(
    "bad",
    [
        {"rule": []},
        {"rules": [{"match": "(", "steps": [{}]}]},
        {"rules": [{"match": "x", "model": "(", "steps": [{}]}]},
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


def test_a_step_releases_others_of_its_conversation(api: ScriptedApi) -> None:
    waiting = script({"wait": "go", "text": "went on"})
    with ThreadPoolExecutor() as pool:
        same, other = (pool.submit(ask, api, waiting, session=name) for name in ("a", "b"))
        for name in "ab":
            api.wait_for(lambda record, name=name: record.conversation_id == name, LIMIT_S)
        ask(api, script({"text": "first", "release": "go"}), session="a")
        assert same.result(LIMIT_S).text == "went on"
        assert not other.done()
        api.release("go")
        assert other.result(LIMIT_S).text == "went on"


def test_close_ends_whatever_continues_and_leaves_nothing_behind(tmp_path: Path) -> None:
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
