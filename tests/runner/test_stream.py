"""Reading along in a stream: in any portions the same, and what the runner hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.examples import SHARED_FIXTURES

from cpr_nb.model.events import RunFacts
from cpr_nb.model.limits import LOGIN, USAGE
from cpr_nb.runner.stream import News, Stream

RECORDINGS = Path(__file__).parent.parent / "model" / "recordings"
STREAMS = {path.stem: path.read_bytes() for path in sorted(RECORDINGS.glob("*.jsonl"))}

relaxed = settings(SHARED_FIXTURES, max_examples=150)


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}).encode() + b"\n"


def said(text: str = "hi", model: str = "opus", **fields: Any) -> bytes:
    content = [{"type": "text", "text": text}]
    return event("assistant", message={"id": text, "model": model, "content": content}, **fields)


def retry(status: object, delay_ms: object = 500) -> bytes:
    return event("system", subtype="api_retry", error_status=status, retry_delay_ms=delay_ms)


def called(tool: str) -> bytes:
    block = {"type": "tool_use", "id": tool, "name": "Bash", "input": {}}
    return event("assistant", message={"id": "m", "model": "opus", "content": [block]})


def returned(tool: str) -> bytes:
    return event("user", message={"content": [{"type": "tool_result", "tool_use_id": tool}]})


REJECTED = event("rate_limit_event", rate_limit_info={"status": "rejected", "resetsAt": 1772370000})


class Written:
    """A stream that grows."""

    def __init__(self, folder: Path, *, with_tools: bool = False) -> None:
        self.path = folder / "task-a.jsonl"
        self.path.write_bytes(b"")
        self.stream = Stream(str(self.path), with_tools=with_tools)

    def look(self, data: bytes, now: float = 0.0) -> News:
        with self.path.open("ab") as file:
            file.write(data)
        return self.stream.poll(now)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    one = Written(tmp_path)
    yield one
    one.stream.close()


def known(facts: RunFacts) -> dict[str, Any]:
    names = ("result", "cost_usd", "tokens", "model", "claude_version", "api_retries",
             "last_text", "answered", "n_denials")  # fmt: skip
    return {name: getattr(facts, name) for name in names}


def at_once(data: bytes) -> RunFacts:
    facts = RunFacts()
    for line in data.split(b"\n"):
        facts.feed(line)
    return facts


# -- any portions -----------------------------------------------------------------------------

LINES = st.sampled_from(
    [said("one"), said("two"), said("no", model="<synthetic>"), retry(429), retry(529, 4000),
     retry(401), retry(500), REJECTED, called("t1"), returned("t1"), b"\n", b"[" * 50,
     event("result", is_error=False, total_cost_usd=0.5),
     event("system", subtype="init", model="m"),
     event("stream_event", event={"type": "message_start"}),
     b'{"type":"assistant"\n', b"\xff\xfe\r"]
)  # fmt: skip
RECORDED = st.sampled_from(sorted(STREAMS)).map(STREAMS.__getitem__)
DATA = RECORDED | st.lists(LINES, max_size=12).map(b"".join) | st.binary(max_size=60)


@relaxed
@given(DATA, st.data())
def test_read_in_any_portions_a_stream_cut_anywhere_says_the_same(
    tmp_path: Path, data: bytes, draw: st.DataObject
) -> None:
    cut = data[: draw.draw(st.integers(0, len(data)), label="cut")]
    ends = draw.draw(st.lists(st.integers(0, len(cut)), max_size=6), label="portions")
    in_portions, whole = Written(tmp_path), Written(tmp_path)
    answered, begin = False, 0
    for end in sorted(ends):
        answered |= in_portions.look(cut[begin:end], 1.0).answered
        begin = end
    with in_portions.path.open("ab") as file:
        file.write(cut[begin:])
    assert known(in_portions.stream.finish()) == known(at_once(cut))
    assert known(whole.stream.finish()) == known(at_once(cut)), "read at its end only"
    one, other = in_portions.stream.limit, whole.stream.limit
    assert repr(one) == repr(other)
    assert answered <= at_once(cut).answered, "nobody answered"


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_stream_that_comes_in_crumbs_loses_nothing(tmp_path: Path, size: int) -> None:
    data = said("one") + retry(429) + REJECTED + event("result", is_error=False)
    written = Written(tmp_path)
    heard = [
        written.look(data[begin : begin + size], float(begin))
        for begin in range(0, len(data), size)
    ]
    assert sum(news.answered for news in heard) == 1
    assert [news.refused_s for news in heard if news.refused_s is not None] == [0.5]
    assert [news.limit.kind for news in heard if news.limit is not None] == [USAGE]
    assert known(written.stream.finish()) == known(at_once(data))


def test_a_stream_larger_than_a_portion_is_read_whole(written: Written) -> None:
    text = "x" * 300_000
    written.look(said("one") + said(text) + said("end")[:-1])
    assert written.stream.facts.last_text == text
    assert written.stream.finish().last_text == "end", "the last line lacks its line feed"


def test_the_end_may_be_read_twice(written: Written) -> None:
    written.look(retry(429)[:-1])
    assert written.stream.finish().api_retries == 1
    assert written.stream.finish().api_retries == 1


def test_a_stream_that_is_gone_or_a_link_says_nothing(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.look(said("one"))
    written.path.unlink()
    assert not written.stream.poll(1.0).answered
    written.path.symlink_to(tmp_path / "other")
    (tmp_path / "other").write_bytes(said("one") + said("somebody else's"))
    assert written.stream.finish().last_text == "one"


# -- what is heard ----------------------------------------------------------------------------


def test_the_first_answer_is_news_and_the_second_is_not(written: Written) -> None:
    assert not written.look(event("system", subtype="init")).answered
    assert written.look(said("one")).answered
    assert not written.look(said("two")).answered
    assert not written.look(b"").answered


def test_an_answer_after_trouble_is_news_again(written: Written) -> None:
    written.look(said("one"))
    assert not written.look(retry(500)).answered
    assert written.look(said("two")).answered
    written.look(REJECTED)
    assert written.look(said("three")).answered


def test_what_the_cli_says_itself_is_no_answer(written: Written) -> None:
    news = written.look(said("API Error: 500", model="<synthetic>"))
    assert not news.answered
    assert not written.look(event("assistant", message="?")).answered
    assert not written.look(event("assistant")).answered
    assert not written.stream.facts.answered


@pytest.mark.parametrize("status", [429, 529])
def test_a_refusal_for_now_says_how_long_the_cli_waits(written: Written, status: int) -> None:
    news = written.look(retry(status, 4000), 7.0)
    assert (news.refused_s, news.limit, news.answered) == (4.0, None, False)
    assert written.stream.busy_until == 11.0
    assert written.look(b"").refused_s is None


@pytest.mark.parametrize("status", [500, 401, None, "429", [429], {}])
def test_another_trouble_is_no_refusal_for_now(written: Written, status: object) -> None:
    assert written.look(retry(status)).refused_s is None


@pytest.mark.parametrize("delay_ms", [None, "soon", -5, float("nan"), True, []])
def test_a_wait_that_is_no_number_is_none(written: Written, delay_ms: object) -> None:
    assert written.look(retry(429, delay_ms), 7.0).refused_s == 0.0
    assert written.stream.busy_until == 7.0


def test_a_limit_is_news_and_stands_until_an_answer(written: Written) -> None:
    news = written.look(retry(401))
    assert news.limit is not None and news.limit.kind == LOGIN
    assert written.stream.limit is news.limit
    assert written.look(b"").limit is None
    assert written.look(said("", model="<synthetic>")).limit is None
    assert written.stream.limit is not None, "that is the CLI's own text"
    written.look(said("one"))
    assert written.stream.limit is None


def test_a_rejection_says_until_when(written: Written) -> None:
    news = written.look(REJECTED)
    assert news.limit is not None
    assert (news.limit.kind, news.limit.until_s) == (USAGE, 1772370000.0)


def test_of_an_answer_and_a_limit_the_later_one_stands(written: Written) -> None:
    news = written.look(retry(401) + said("one"))
    assert news.answered and news.limit is None
    news = written.look(said("two") + retry(401))
    assert news.limit is not None, "and whoever acts on both reports the limit last"
    assert written.stream.limit is news.limit


def test_a_task_has_written_when_its_file_grew(written: Written) -> None:
    stream = written.stream
    assert stream.last_output_at is None
    written.look(b"", 3.0)
    assert stream.last_output_at is None
    written.look(b"{", 5.0)
    assert stream.last_output_at == 5.0, "half a line is a sign of life"
    written.look(b"", 6.0)
    assert stream.last_output_at == 5.0


def test_a_tool_that_runs_explains_a_silence_for_ever(tmp_path: Path) -> None:
    written = Written(tmp_path, with_tools=True)
    assert written.stream.busy_until == 0.0
    written.look(called("t1") + called("t2"))
    assert written.stream.busy_until == float("inf")
    written.look(returned("t1"))
    assert written.stream.busy_until == float("inf")
    written.look(returned("t2"))
    assert written.stream.busy_until == 0.0


def test_tools_are_not_followed_where_nobody_asks(written: Written) -> None:
    written.look(called("t1"))
    assert written.stream.busy_until == 0.0


def test_while_only_commands_run_its_silence_is_explained_and_counted(written: Written) -> None:
    started = event("system", subtype="task_started", task_id="b1", task_type="local_bash")
    written.look(said() + started, 1.0)
    assert (written.stream.busy_until, written.stream.lingers_since) == (0.0, None)
    written.look(event("result", is_error=False), 2.0)
    assert (written.stream.busy_until, written.stream.lingers_since) == (float("inf"), 2.0)
    written.look(event("system", subtype="status"), 3.0)
    assert written.stream.lingers_since == 3.0, "whatever it writes counts"
    written.look(event("system", subtype="init"), 4.0)
    assert (written.stream.busy_until, written.stream.lingers_since) == (0.0, None)
