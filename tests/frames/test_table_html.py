"""Tables for eyes: what a notebook shows of a table, and that it stays an ordinary DataFrame."""

from __future__ import annotations

import gc
import html
import pickle
import re
import weakref
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.command import LIMIT_S
from testkit.stub import plan

import cpr_nb as cpr
from cpr_nb.frames.table_html import set_html, table_html, table_text

HOSTILE = "<script>alert(1)</script> $x$ \x1b[31mred\nnext " + "long " * 40


def heads(page: str) -> list[str]:
    return re.findall(r'<th scope="col" class="[^"]*">(.*?)</th>', page)


def rows(page: str) -> list[list[str]]:
    bodies = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2])
    return [[html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", b)] for b in bodies]


def caption(page: str) -> str:
    return html.unescape(re.sub("<[^>]+>", "", page.partition('<p class="cpr-dff">')[2]))


def shown(frame: pd.DataFrame) -> str:
    """What a notebook shows of it: IPython asks for this method."""
    page: Any = frame._repr_html_()  # type: ignore[operator]
    assert isinstance(page, str)
    return page


@pytest.fixture
def session(stubbed: None) -> cpr.Session:
    failed = plan(result=None, exit=3, stderr="broke")
    session = cpr.launch([HOSTILE, {"prompt": failed, "attempts": 1}], name="mine")
    return session.wait(LIMIT_S)


def test_what_matters_comes_first_and_ids_last_and_short(session: cpr.Session) -> None:
    table = session.tasks_df()
    page = shown(table)
    first = ["task_num", "prompt", "outcome", "reason", "n_denials", "cost_usd", "duration_s"]
    assert heads(page) == [*first, "result", "task_id"]
    assert [row[-1] for row in rows(page)] == [task.id[:8] for task in session]
    assert table.task_id.tolist() == [task.id for task in session], "the column is whole"
    assert table.session_id.tolist() == [session.id] * 2 and HOSTILE in table.prompt.tolist()
    said = caption(page)
    assert f"2 rows × 12 columns, all of session {session.id[:8]}" in said
    assert "not shown: state, ok, session_id" in said and "df.task_id is whole" in said


def test_a_table_of_sessions_and_one_of_answers(session: cpr.Session) -> None:
    page = shown(cpr.sessions_df())
    assert heads(page)[:2] == ["name", "state"] and heads(page)[-1] == "session_id"
    assert rows(page)[0][-1] == session.id[
        :8
    ] and "not shown: n_pending, n_running" in page.replace("<code>", "").replace("</code>", "")
    page = shown(session.results_df())
    assert heads(page)[:4] == ["prompt", "result", "ok", "outcome"] and heads(page)[-1] == "task_id"
    assert "df[~df.ok].cpr.retry()" in caption(page)
    scored = session.score(lambda row: 1)
    assert "score" in heads(shown(scored))


def test_a_row_is_a_line_and_nothing_of_an_agent_is_html(session: cpr.Session) -> None:
    page = shown(session.tasks_df())
    (cell,) = re.findall("<td[^>]*>(&lt;script.*?)</td>", page)
    assert cell.startswith("&lt;script&gt;alert(1)&lt;/script&gt; <span>$</span>x<span>$</span> ")
    assert cell.endswith("<span>\\</span>x1b[31mred next lo…"), "no notebook typesets it"
    assert page.count("<td ") == page.count(' style="white-space:nowrap">'), "untrusted, too"
    assert "<script" not in page and "\x1b" not in page


def test_it_stays_a_frame_of_pandas_whatever_is_made_of_it(session: cpr.Session) -> None:
    table = session.tasks_df()
    assert type(table) is pd.DataFrame
    pd.testing.assert_frame_equal(table, pd.DataFrame(table))
    for made in (table.head(1), table.copy(), table.query("ok"), pickle.loads(pickle.dumps(table))):
        assert type(made) is pd.DataFrame and "_repr_html_" not in vars(made)
    table["more"] = 1
    assert "more" in heads(shown(table)), "what is shown is what it holds now"


def test_it_is_freed_with_its_last_name() -> None:
    frame = set_html(pd.DataFrame({"session_id": ["a"]}))
    reference = weakref.ref(frame)
    gc.disable()
    try:
        del frame
        assert reference() is None
    finally:
        gc.enable()


def many(n_rows: int) -> pd.DataFrame:
    numbers = pd.array(range(1, n_rows + 1), "Int64")
    return pd.DataFrame({"task_num": numbers, "session_id": "a", "task_id": numbers.astype(str)})


def test_ten_rows_stand_for_many_and_the_options_of_pandas_hold() -> None:
    page = table_html(many(1000)) or ""
    assert [row[0] for row in rows(page)] == [*"12345", "⋮", "996", "997", "998", "999", "1000"]
    assert "10 of 1,000 rows" in caption(page)
    with pd.option_context("display.max_rows", None):
        assert len(rows(table_html(many(100)) or "")) == 100
    with pd.option_context("display.notebook_repr_html", False):
        assert table_html(many(1)) is None
    frame = many(1).assign(**{f"c{number}": number for number in range(40)}, result="a" * 200)
    with pd.option_context("display.max_columns", 20):  # as in a kernel
        page = table_html(frame) or ""
    assert len(heads(page)) == 20 and heads(page)[-1] == "task_id" and "and " in caption(page)
    with pd.option_context("display.max_columns", None, "display.max_colwidth", None):
        page = table_html(frame) or ""
    assert re.search(f'<td class="t r w">{"a" * 200}</td>', page), "whole, and it may wrap"


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("cost_usd", [1234.5, 0.1, None], ["1,234.50", "0.10", "<NA>"]),
        ("cost_usd", [0.0012, 0.1], ["0.0012", "0.1000"]),
        ("duration_s", [0.04, 99.96], ["0.0", "100.0"]),
        ("duration_s", [4324.2, 1.0], ["4,324", "1"]),
        ("n_tasks", [12000], ["12,000"]),
        ("year", [2026], ["2026"]),
        ("score", [0.5, 1e-9, float("nan")], ["0.5", "1e-09", "<NA>"]),
        ("places", [["a", "b"], {"c": 1}], ["['a', 'b']", "{'c': 1}"]),
        ("started_at", pd.to_datetime(["2026-11-22T20:34:05Z"]), ["2026-11-22 20:34"]),
        ("my_id", ["ticket-12345678-9"], ["ticket-12345678-9"]),
    ],
)
def test_values_read_well(name: str, values: Any, texts: list[str]) -> None:
    page = table_html(pd.DataFrame({name: values, "session_id": "a"})) or ""
    assert [row[0] for row in rows(page)] == texts


def test_odd_frames_are_shown_too() -> None:
    twice = pd.DataFrame([[1, 2]], columns=["session_id", "session_id"])
    assert "<table" in (table_html(twice) or "") and "session_id" in table_text(twice)
    index = pd.MultiIndex.from_tuples([("x", 1)], names=["file", None])
    page = table_html(pd.DataFrame({0: ["<b>"], "session_id": ["a"]}, index=index)) or ""
    assert '<th scope="row">x</th><th scope="row">1</th>' in page and "&lt;b&gt;" in page
    assert "<th>file</th>" in page and "0 rows" in caption(table_html(many(0)) or "")


def test_sessions_of_the_perl_script_are_shown() -> None:
    legacy = Path(__file__).parents[1] / "store" / "legacy-results"
    assert "task_num" in heads(shown(cpr.tasks_df(legacy)))
