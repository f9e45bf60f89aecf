"""The prefix cache of the scripted API, as a plain HTTP client sees it."""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.client import ASSISTANT, LIMIT_S, ask, script, user

from cpr_nb.offline._cache import PrefixCache, prefixes_of
from cpr_nb.offline.scripted_api import CacheUse, ScriptedApi

MARK = {"cache_control": {"type": "ephemeral"}}
TOOLS = [{"name": "Bash", "description": "runs " * 100}]
SYSTEM = [{"type": "text", "text": "You are an agent. " * 100, **MARK}]


def marked(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text, **MARK}]}


def used(api: ScriptedApi, *messages: dict[str, Any] | str, **extra: Any) -> tuple[int, int]:
    """What a request read and wrote, by its answer; the record must say the same."""
    usage = ask(api, *messages, **extra).json["usage"]
    record = api.requests[-1]
    told = (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"])
    assert told == (record.cache_read_tokens, record.cache_write_tokens)
    return told


class Clock:
    """A time that only the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_request_writes_what_the_next_one_reads(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with ScriptedApi(log_path=log) as api:
        read, written = used(api, "one", system=SYSTEM, tools=TOOLS)
        assert (read, used(api, "two", system=SYSTEM, tools=TOOLS)) == (0, (written, 0))
        # The size is that of what stands in front of the mark, 4 bytes a token.
        bare = [*TOOLS, *({k: v for k, v in b.items() if k != "cache_control"} for b in SYSTEM)]
        assert written == sum(len(json.dumps(block)) for block in bare) // 4
        assert api.cache_use == CacheUse(1, 1, read_tokens=written, write_tokens=written)
    lines = [line for line in map(json.loads, log.read_text().splitlines()) if "seq" in line]
    columns = ("cache_read_tokens", "cache_write_tokens", "status", "gate")
    rows = [[line[name] for name in columns] for line in lines]
    assert rows == [[0, written, 200, ""], [written, 0, 200, ""]]


def test_a_stream_says_it_at_its_beginning_and_at_its_end(api: ScriptedApi) -> None:
    _, written = used(api, "one", system=SYSTEM)
    events = ask(api, "two", system=SYSTEM, stream=True).events
    for usage in (events[0]["message"]["usage"], events[-2]["usage"]):
        assert usage["cache_read_input_tokens"] == written
        assert usage["cache_creation_input_tokens"] == 0


def test_without_a_mark_nothing_is_cached(api: ScriptedApi) -> None:
    assert [used(api, "same", tools=TOOLS, system="same") for _ in "ab"] == [(0, 0), (0, 0)]
    assert api.cache_use == (0, 0, 0, 0)


def test_who_comes_before_the_answer_begins_writes_it_again(api: ScriptedApi) -> None:
    prompt = script({"wait": "go", "text": "done"})
    with ThreadPoolExecutor(3) as pool:
        early = [pool.submit(ask, api, prompt, system=SYSTEM, session=name) for name in "abc"]
        api.wait_for(lambda record: record.seq == 3, LIMIT_S)
        api.release("go")
        assert {client.result(LIMIT_S).text for client in early} == {"done"}
    assert api.cache_use[:2] == (3, 0)
    assert used(api, prompt, system=SYSTEM)[0] > 0
    assert api.cache_use[:2] == (3, 1)


def test_a_request_after_the_answer_has_begun_reads_the_cache(api: ScriptedApi) -> None:
    prompt = script({"text": "abcd", "delay_s": 3600})
    leader = http.client.HTTPConnection("127.0.0.1", api.port, timeout=LIMIT_S)
    body = {"model": "some-model", "messages": [user(prompt)], "system": SYSTEM, "stream": True}
    leader.request("POST", "/v1/messages", json.dumps(body))
    assert leader.getresponse().readline() == b"event: message_start\n"
    assert used(api, "next", system=SYSTEM)[0] > 0
    assert api.cache_use[:2] == (1, 1)
    api.close()
    leader.close()


def test_one_leader_then_39_at_once_make_1_write_and_39_reads(api: ScriptedApi) -> None:
    messages = [marked("the same task")]
    ask(api, *messages, system=SYSTEM)
    barrier = threading.Barrier(39)

    def follower(number: int) -> None:
        barrier.wait(LIMIT_S)
        ask(api, *messages, system=SYSTEM, session=str(number))

    with ThreadPoolExecutor(39) as pool:
        list(pool.map(follower, range(39)))
    use = api.cache_use
    assert (use.n_anew, use.n_reads, use.read_tokens) == (1, 39, 39 * use.write_tokens)


def test_the_longest_prefix_is_read_and_only_the_rest_is_written(api: ScriptedApi) -> None:
    _, first = used(api, marked("a" * 400), system=SYSTEM)
    read, written = used(api, marked("b" * 400), system=SYSTEM)
    assert read > 0 and written > 0 and read + written == first
    assert used(api, marked("b" * 400), system=SYSTEM) == (first, 0)


CHANGES: dict[str, tuple[dict[str, Any], int]] = {
    "model": ({"model": "another"}, 0),
    "a tool": ({"tools": [{**TOOLS[0], "description": "other"}]}, 0),
    "a tool in front": ({"tools": [{"name": "First"}, *TOOLS]}, 0),
    "a tool behind": ({"tools": [*TOOLS, {"name": "Last"}]}, 1),
    "system": ({"system": [{**SYSTEM[0], "text": "other"}]}, 1),
    "thinking": ({"thinking": {"type": "disabled"}}, 2),
    "choice of tools": ({"tool_choice": {"type": "any"}}, 2),
    "what is not shown to the model": ({"max_tokens": 7, "metadata": {"user_id": "x"}}, 3),
}


@pytest.mark.parametrize(("change", "kept"), CHANGES.values(), ids=CHANGES)
def test_what_a_change_leaves_to_be_read(
    api: ScriptedApi, change: dict[str, Any], kept: int
) -> None:
    request = {"tools": [{**TOOLS[0], **MARK}], "system": SYSTEM}
    used(api, marked("hello"), **request)
    prefixes = prefixes_of({**request, "messages": [marked("hello")]})
    sizes = [0, *(prefix.tokens for prefix in prefixes)]
    assert used(api, marked("hello"), **{**request, **change})[0] == sizes[kept]


def test_a_mark_for_the_whole_request_marks_its_last_block(api: ScriptedApi) -> None:
    _, written = used(api, "one", **MARK)
    assert used(api, "one", **MARK) == (written, 0)
    assert used(api, "one") == (0, 0)  # Without a mark nothing is looked for either.


def test_a_text_is_the_same_as_one_block_of_it(api: ScriptedApi) -> None:
    _, written = used(api, {"role": "user", "content": "plain"}, system="plain", **MARK)
    blocks = [{"type": "text", "text": "plain"}]
    assert used(api, {"role": "user", "content": blocks}, system=blocks, **MARK) == (written, 0)


def test_two_messages_are_not_one_of_two_blocks(api: ScriptedApi) -> None:
    used(api, "a", "b", **MARK)
    assert used(api, user("a", "b"), **MARK)[0] == 0


def test_the_mark_moves_on_and_the_turn_before_is_found(api: ScriptedApi) -> None:
    _, first = used(api, marked("one"), system=SYSTEM)
    read, written = used(api, user("one"), ASSISTANT, marked("two"), system=SYSTEM)
    assert read == first
    longer = (user("one"), ASSISTANT, user("two"), ASSISTANT, marked("three"))
    assert used(api, *longer, system=SYSTEM)[0] == read + written


@pytest.mark.parametrize(("n_blocks", "found"), [(19, True), (20, False)])
def test_it_looks_back_20_blocks_and_no_further(
    api: ScriptedApi, n_blocks: int, found: bool
) -> None:
    used(api, marked("one"))
    more = [user("x")] * (n_blocks - 1)
    assert (used(api, user("one"), *more, marked("last"))[0] > 0) == found


def test_what_fails_writes_nothing_but_a_cut_answer_had_begun(api: ScriptedApi) -> None:
    fail = script({"fail": {"status": 529, "times": 1}})
    assert ask(api, fail, system=SYSTEM).status == 529
    api.lose_login()
    assert ask(api, "hello", system=SYSTEM).status == 401
    api.restore_login()
    assert ask(api, "SCRIPT=[]", system=SYSTEM).status == 400
    assert [r.cache_write_tokens for r in api.requests] == [0, 0, 0]
    ask(api, script({"text": "abcd", "cut": {}}), system=SYSTEM, stream=True)
    assert used(api, fail, system=SYSTEM)[0] > 0
    assert api.cache_use[:2] == (1, 1)


def test_a_prefix_lives_5_minutes_from_its_last_use() -> None:
    clock = Clock()
    with ScriptedApi(clock=clock) as api:
        _, written = used(api, "a", system=SYSTEM)
        for _ in range(3):
            clock.now += 299
            assert used(api, "a", system=SYSTEM) == (written, 0)
        clock.now += 300
        assert used(api, "a", system=SYSTEM) == (0, written)


def test_a_prefix_lives_an_hour_if_it_says_so() -> None:
    clock = Clock()
    hour = [{**SYSTEM[0], "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    with ScriptedApi(clock=clock) as api:
        _, written = used(api, "a", system=hour)
        clock.now += 3599
        assert used(api, "a", system=hour) == (written, 0)
        clock.now += 3600
        assert used(api, "a", system=hour) == (0, written)


def test_the_usage_of_a_step_wins_in_the_answer_not_in_the_record(api: ScriptedApi) -> None:
    prompt = script({"usage": {"cache_creation_input_tokens": 7, "input_tokens": 1}})
    usage = ask(api, prompt, system=SYSTEM).json["usage"]
    assert (usage["cache_creation_input_tokens"], usage["input_tokens"]) == (7, 1)
    assert usage["cache_read_input_tokens"] == 0
    assert api.requests[0].cache_write_tokens > 7


@pytest.mark.parametrize("counts", [True, False])
def test_the_billing_line_is_a_part_of_the_prefix_or_not(counts: bool) -> None:
    def system(version: str) -> list[dict[str, Any]]:
        line = f"x-anthropic-billing-header: cc_version={version}; cc_entrypoint=sdk-cli;"
        return [{"type": "text", "text": line}, *SYSTEM]

    with ScriptedApi(billing_line_counts=counts) as api:
        used(api, "a", system=system("1.0.abc"))
        assert (used(api, "b", system=system("1.0.def"))[0] == 0) == counts
        assert used(api, "c", system=system("1.0.abc"))[0] > 0


TEXTS = st.sampled_from(["a", "b", "c"])
BLOCKS = st.lists(
    st.builds(
        lambda text, mark: {"type": "text", "text": text, **(MARK if mark else {})},
        TEXTS,
        st.booleans(),
    ),
    max_size=4,
)
REQUESTS = st.builds(
    lambda system, turns: {
        "system": system,
        "messages": [{"role": "user", "content": blocks} for blocks in turns],
    },
    BLOCKS,
    st.lists(BLOCKS, max_size=3),
)


@given(st.lists(REQUESTS, max_size=6), REQUESTS)
def test_whatever_came_before_read_and_written_make_up_the_marked_prefix(
    before: list[dict[str, Any]], request: dict[str, Any]
) -> None:
    cache = PrefixCache(lambda: 0.0)
    for earlier in before:
        cache.add(cache.find(prefixes_of(earlier)))
    prefixes = prefixes_of(request)
    whole = max((prefix.tokens for prefix in prefixes if prefix.lives_s), default=0)
    found = cache.find(prefixes)
    assert found.read_tokens + found.write_tokens == whole
    assert cache.find(prefixes) == found  # Looking does not write.
    cache.add(found)
    again = cache.find(prefixes)
    assert (again.read_tokens, again.write_tokens, again.added) == (whole, 0, ())
