"""The reader of a shared process's stream: borders, foreign lines, torn lines, in any portions."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.runner.shared import borders
from cpr_nb.runner.shared.borders import Mark, ProcessStream, n_live

OLD, NEW = "11111111-aaaa", "22222222-bbbb"


def line(kind: str, subtype: str = "", session: str = OLD, **fields: Any) -> bytes:
    """A line as the CLI writes it: without spaces, its id last."""
    event = {"type": kind, **({"subtype": subtype} if subtype else {}), **fields}
    event |= {"session_id": session} if session else {}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def assistant(session: str = OLD, *tools: str, text: str = "Yes.") -> bytes:
    blocks = [{"type": "tool_use", "name": name, "input": {}} for name in tools]
    return line("assistant", session=session, message={"content": blocks or [{"text": text}]})


RESET = line("conversation_reset", new_conversation_id="of-no-use")
INIT, INIT_NEW = line("system", "init"), line("system", "init", NEW)
RESULT, RESULT_NEW = line("result", "success"), line("result", "success", NEW, num_turns=0)
HOOK = line("system", "hook_started", NEW, hook_event="SessionStart")
NOTHING_LIVES = line("system", "background_tasks_changed", tasks=[])
#: What stands between two tasks, by version of the CLI.
ORDERS = {
    "2.1.332": [RESET, NOTHING_LIVES, INIT_NEW, RESULT_NEW],
    "2.1.332 with a hook": [RESET, NOTHING_LIVES, HOOK, INIT_NEW, RESULT_NEW],
    "2.1.259": [RESET, INIT_NEW, RESULT_NEW],
    "2.1.211": [RESET, INIT_NEW, assistant(NEW, text="(no content)"), RESULT_NEW],
}


def stream_of(folder: Path, data: bytes) -> ProcessStream:
    path = folder / "process-1.jsonl"
    path.write_bytes(data)
    return ProcessStream(str(path))


def kinds(marks: list[Mark]) -> list[str]:
    return [mark.kind for mark in marks]


@pytest.mark.parametrize("version", ORDERS)
def test_between_two_tasks_nothing_is_foreign_and_the_new_id_is_known(
    tmp_path: Path, version: str
) -> None:
    between = ORDERS[version]
    begin = [INIT, assistant(), RESULT]
    stream = stream_of(tmp_path, b"".join([*begin, *between, INIT_NEW]))
    marks = stream.poll()
    stream.close()
    expected = [borders.INIT, borders.RESULT, borders.RESET]
    expected += [borders.BACKGROUND] if NOTHING_LIVES in between else []
    expected += [borders.HOOK] if HOOK in between else []
    assert kinds(marks) == [*expected, borders.INIT, borders.RESULT, borders.INIT]
    assert stream.conversation_id == NEW
    border = next(mark for mark in marks if mark.kind == borders.RESET)
    assert border.begin == len(b"".join(begin))
    assert border.end == border.begin + len(RESET)
    assert stream.end == (tmp_path / "process-1.jsonl").stat().st_size


def test_a_line_of_the_task_before_is_foreign_behind_the_new_init(tmp_path: Path) -> None:
    late = line("system", "task_notification", OLD, status="completed")
    stream = stream_of(tmp_path, b"".join([RESET, INIT_NEW, RESULT_NEW, late, RESULT, INIT]))
    marks = stream.poll()
    stream.close()
    assert kinds(marks)[3:] == [borders.LINE_OF_ANOTHER] * 3
    assert stream.conversation_id == NEW


def test_an_id_in_what_a_tool_printed_is_not_the_lines_own(tmp_path: Path) -> None:
    """The name of the field counts at the top only, even where both are in a line."""
    nested = line("user", session=OLD, tool_use_result={"session_id": NEW, "result": 1})
    own = line("user", session=NEW, tool_use_result={"session_id": OLD})
    stream = stream_of(tmp_path, INIT_NEW + own + nested)
    assert kinds(stream.poll()) == [borders.INIT, borders.LINE_OF_ANOTHER]
    stream.close()


def test_whoever_begins_in_the_middle_says_which_conversation_it_is(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(INIT + assistant(OLD) + assistant(NEW))
    stream = ProcessStream(str(tmp_path / "p"), offset=len(INIT))
    stream.conversation_id = OLD
    assert kinds(stream.poll()) == [borders.LINE_OF_ANOTHER]
    stream.close()


def test_torn_and_glued_lines_are_unreadable(tmp_path: Path) -> None:
    torn = assistant(text="a" * 50)[:60] + assistant() + b'{"type":"user"\n' + b"\n"
    stream = stream_of(tmp_path, INIT + torn + RESULT)
    assert kinds(stream.poll()) == [borders.INIT, *[borders.UNREADABLE] * 3, borders.RESULT]
    stream.close()


def test_only_whole_lines_are_read_until_the_end(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, INIT + RESULT[:-1])
    assert kinds(stream.poll()) == [borders.INIT]
    assert stream.end == len(INIT)
    assert kinds(stream.finish()) == [borders.RESULT]
    assert stream.end == len(INIT + RESULT) - 1
    stream.close()


def test_a_file_that_was_cut_or_removed(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, INIT + RESULT)
    assert len(stream.poll()) == 2
    path = tmp_path / "process-1.jsonl"
    path.write_bytes(INIT)
    assert kinds(stream.poll()) == [borders.UNREADABLE]
    stream.close()
    stream = stream_of(tmp_path, INIT)
    with path.open("ab") as file:
        path.unlink()
        file.write(RESULT)
    assert kinds(stream.poll()) == [borders.INIT, borders.RESULT]  # it is still open here
    stream.close()


def test_tools_background_work_and_the_control_protocol(tmp_path: Path) -> None:
    call = {"type": "tool_use", "name": "Bash", "input": {"run_in_background": True}}
    stream = stream_of(
        tmp_path,
        assistant(OLD, "Read", "mcp__x__y")
        + line("assistant", message={"content": [call]})
        + line("system", "background_tasks_changed", tasks=[{"task_id": "b"}, {"task_id": "c"}])
        + line("control_response", session="", response={"subtype": "success"}),
    )
    marks = stream.poll()
    assert stream.tools_used == {"Read", "mcp__x__y", borders.BACKGROUND_BASH}
    assert kinds(marks) == [borders.BACKGROUND, borders.RESPONSE]
    assert n_live(marks[0]) == 2
    stream.close()


# --- Against a reader that parses each line ------------------------------------------------------

TEXTS = st.sampled_from(
    ["", "Yes.", '"result"', '{"type":"user"', '"session_id":"22222222-bbbb"', "ö\\", "init", "}"]
)
SESSIONS = st.sampled_from([OLD, NEW])
LINES = st.one_of(
    st.sampled_from([RESET, INIT, INIT_NEW, RESULT, RESULT_NEW, HOOK, NOTHING_LIVES]),
    st.builds(lambda session, text: assistant(session, text=text), SESSIONS, TEXTS),
    st.builds(lambda session: assistant(session, "Bash", "Read"), SESSIONS),
    st.builds(lambda s, text: line("user", session=s, tool_use_result={text: 1}), SESSIONS, TEXTS),
    st.builds(lambda s: line("stream_event", session=s, event={"type": "x"}), SESSIONS),
    st.builds(lambda s: line("news", session=s), SESSIONS | st.just("")),
    st.just(line("control_response", session="", response={"session_id": NEW})),
)
#: Lines of a disk that was full for a moment: the beginning of one is glued to the next.
TORN = st.builds(lambda first, cut, then: first[:cut] + then, LINES, st.integers(1, 60), LINES)


def slow_marks(data: bytes) -> list[tuple[str, int]]:
    """What the marks are, by parsing every line, as the documentation says it."""
    marks, begin, current = [], 0, ""
    for text in data.splitlines(keepends=True):
        offset, begin = begin, begin + len(text)
        try:
            event = json.loads(text)
        except ValueError:
            marks.append((borders.UNREADABLE, offset))
            continue
        session, subtype = event.get("session_id", ""), event.get("subtype")
        if session and current and session != current:
            marks.append((borders.LINE_OF_ANOTHER, offset))
        elif event["type"].startswith("control_"):
            marks.append((borders.RESPONSE, offset))
        elif event["type"] in (borders.RESULT, borders.RESET):
            marks.append((event["type"], offset))
            current = "" if event["type"] == borders.RESET else current
        elif event["type"] == "system" and subtype in (
            *(borders.INIT, borders.BACKGROUND, borders.HOOK),
        ):
            marks.append((subtype, offset))
            current = session if subtype == borders.INIT else current
    return marks


@given(st.lists(LINES | TORN, max_size=12), st.lists(st.integers(1, 400), max_size=12))
def test_marks_are_those_of_a_reader_that_parses_each_line(
    lines: list[bytes], portions: list[int]
) -> None:
    data = b"".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p"
        path.touch()
        stream, marks, written = ProcessStream(str(path)), [], 0
        with path.open("ab", buffering=0) as file:
            for size in portions:
                written += file.write(data[written : written + size])
                marks += stream.poll()
                assert stream.end == data.rfind(b"\n", 0, written) + 1
            file.write(data[written:])
        marks += stream.poll()
        stream.close()
    assert [(mark.kind, mark.begin) for mark in marks] == slow_marks(data)
    assert all(data[mark.begin : mark.end].count(b"\n") == 1 for mark in marks)
