"""Files of prompts: what is read comes out unchanged, what is wrong is named with its line."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cpr_nb.launching import study
from cpr_nb.model.errors import InputError, UnknownOption
from cpr_nb.model.inputs import KEYWORDS, parse
from cpr_nb.model.options import OPTIONS
from cpr_nb.model.spec import MAX_PROMPT_BYTES, TaskSpec


def tasks_of(text: str, form: str = "json") -> list[TaskSpec]:
    return parse(text, f"f.{form}", form)[0]


def error_of(text: str, form: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(text, f"f.{form}", form)
    return str(caught.value)


# -- .json ------------------------------------------------------------------------------------


def test_json_gives_texts_and_objects() -> None:
    text = '{"prompts": ["one", {"prompt": "two", "id": "b", "allow": ["Read"]}]}'
    tasks, warnings, _ = parse(text, "f.json")
    assert [(task.prompt, task.options) for task in tasks] == [
        ("one", {}),
        ("two", {"allow": ["Read"]}),
    ]
    assert (tasks[1].task_id, tasks[1].where) == ("b", "f.json: prompts[1]")
    assert warnings == []


def test_json_warns_of_what_it_ignores() -> None:
    warnings = parse('{"prompts": ["one"], "max_parallel": 3, "x": 1}', "f.json").warnings
    ignored = "f.json: ignored: 'max_parallel', 'x'; options of the session go on the command line"
    assert warnings == [ignored]


@pytest.mark.parametrize(
    ("key", "meant"),
    [("bestof", "best_of"), ("stop-when", "stop_when"), ("Pilot", "pilot"), ("repeat", "repeats")],
)
def test_a_misspelt_keyword_of_the_launch_is_refused(key: str, meant: str) -> None:
    text = json.dumps({"prompts": ["one"], key: 3})
    with pytest.raises(InputError, match=f"f.json: unknown key '{key}'; did you mean {meant}?"):
        parse(text, "f.json")


def test_keywords_of_the_launch_are_read_beside_the_prompts() -> None:
    prompts = parse('{"prompts": ["one"], "best_of": 3, "after": "3f2a", "x": 1}', "f.json")
    assert prompts.keywords == {"after": "3f2a", "best_of": 3}
    assert "'x'" in prompts.warnings[0] and "best_of" not in prompts.warnings[0]


def test_the_keywords_are_those_of_a_launch() -> None:
    every = {*study.KEYWORDS, "after", "vary", "repeats"}
    assert {*KEYWORDS} == every and not every & OPTIONS.keys()


def test_a_prompt_that_is_a_slash_command_is_warned_of() -> None:
    tasks, warnings, _ = parse('{"prompts": ["/clear", "a/b", " /x"]}', "f.json")
    assert len(tasks) == 3
    assert len(warnings) == 1
    assert warnings[0].startswith("f.json: prompts[0]: begins with '/'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "f.json: is empty"),
        (" \n\t", "f.json: is empty"),
        ('{"prompts": ["a",\n ]}', "f.json: is not JSON: "),
        ('{"prompts": [\n"a"\n"b"]}', "at line 3, column 1"),
        ("[" * 100_000, "f.json: is not JSON that can be read"),
        ('{"prompts": [' + "9" * 5000 + "]}", "f.json: is not JSON that can be read"),
        ("[]", 'f.json: must be an object with "prompts"'),
        ('["a"]', 'f.json: must be an object with "prompts"'),
        ('"a"', 'f.json: must be an object with "prompts"'),
        ("{}", 'f.json: must be an object with "prompts"'),
        ('{"prompts": "a"}', 'f.json: "prompts" must be a list, not str'),
        ('{"prompts": {"a": "b"}}', 'f.json: "prompts" must be a list, not dict'),
        ('{"prompts": null}', 'f.json: "prompts" must be a list, not NoneType'),
        ('{"prompts": []}', "f.json: has no prompts"),
        ('{"prompts": ["a", 5]}', "f.json: prompts[1]: must be a text or an object"),
        ('{"prompts": ["a", {"prompt": " "}]}', "f.json: prompts[1].prompt: is empty"),
        ('{"prompts": ["\\u0000a"]}', "f.json: prompts[0]: has a NUL character at 0"),
        ('{"prompts": ["\\ud800"]}', "f.json: prompts[0]: is not valid Unicode at character 0"),
        ('{"prompts": [{"prompt": "a", "id": "../x"}]}', "f.json: prompts[0].id: '../x' can't"),
        ('{"prompts": [{"prompt": "a", "id": 7}]}', "f.json: prompts[0].id: must be a text"),
        ('{"prompts": [{"prompt": "a", "modle": 7}]}', "unknown option 'modle'; did you mean"),
        ('{"prompts": [{"prompt": "a", "timeout_s": NaN}]}', "f.json: prompts[0].timeout_s: must"),
        ('{"prompts": [{"prompt": "a", "timeout_s": 1e999}]}', "f.json: prompts[0].timeout_s: mus"),
        (
            '{"prompts": [{"prompt": "a", "timeout_s": 1' + "0" * 400 + "}]}",
            "f.json: prompts[0].timeout_s: must",
        ),
        ('{"prompts": [{"prompt": "a", "name": "x"}]}', "is an option of the session"),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_bad_json_is_refused_and_its_element_named(text: str, words: str) -> None:
    assert words in error_of(text, "json")


# -- .jsonl -----------------------------------------------------------------------------------


def test_jsonl_gives_a_task_a_line_and_leaves_empty_lines_out() -> None:
    tasks = tasks_of('"one"\n\n  \n{"prompt": "two"}\r\n"three\u2028\u0085four"\n', "jsonl")
    assert [task.prompt for task in tasks] == ["one", "two", "three\u2028\u0085four"]
    assert [task.where for task in tasks] == [f"f.jsonl: line {n}" for n in (1, 4, 5)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n\n", "f.jsonl: is empty"),
        ('"a"\n\n"b', "at line 3, column 1"),
        ('"a"\n"b" "c"', "at line 2, column 5"),
        ('"a"\n{"prompt": "b",\n"id": "x"}', "at line 2"),
        ('"a"\n7', "f.jsonl: line 2: must be a text or an object with 'prompt', not int"),
        ('"a"\n["b"]', "f.jsonl: line 2: must be a text or an object with 'prompt', not list"),
        ('"a"\n\n{"prompt": ""}', "f.jsonl: line 3.prompt: is empty"),
        ('{"prompt": "a", "id": "x"}\n{"prompt": "a", "id": "X"}', "already that of line 1"),
        ('{"prompts": ["a"]}', "f.jsonl: line 1: has no 'prompt'"),
        ('{"prompt": "a", "x": 1}', "f.jsonl: line 1: unknown option 'x'"),
    ],
)
def test_bad_jsonl_is_refused_and_its_line_named(text: str, words: str) -> None:
    assert words in error_of(text, "jsonl")


# -- .csv -------------------------------------------------------------------------------------


def test_csv_gives_a_task_a_row_with_options_in_columns() -> None:
    text = 'id,prompt,timeout_s,allow,env\na,one,5,"Bash(a, b)",\n,two,,,"{""A"": ""1""}"\n'
    tasks = tasks_of(text, "csv")
    assert [task.prompt for task in tasks] == ["one", "two"]
    assert tasks[0].task_id == "a"
    assert tasks[0].options == {"timeout_s": 5.0, "allow": ["Bash(a, b)"]}
    assert tasks[1].options == {"env": {"A": "1"}}
    assert len(tasks[1].task_id) == 36


def test_a_quoted_cell_keeps_its_newlines_commas_and_quotes() -> None:
    text = 'prompt\r\n"a\r\nb, ""c""\n\nd"\r\nlast\r\n'
    assert [task.prompt for task in tasks_of(text, "csv")] == ['a\r\nb, "c"\n\nd', "last"]


def test_an_error_behind_a_quoted_newline_names_the_line_of_its_own_row() -> None:
    text = 'prompt,timeout_s\n"a\nb\nc",5\ngood,6\n"d\ne",soon\n'
    assert error_of(text, "csv").startswith("f.csv: line 6.timeout_s: must be a number")


def test_a_cell_of_a_mebibyte_is_read() -> None:
    prompt = "x" * 2**20
    assert tasks_of(f"prompt\n{prompt}\n", "csv")[0].prompt == prompt


def test_a_cell_of_the_largest_prompt_is_read_and_a_larger_one_refused() -> None:
    assert len(tasks_of("prompt\n" + "x" * MAX_PROMPT_BYTES, "csv")[0].prompt) == MAX_PROMPT_BYTES
    assert "the CLI takes at most" in error_of("prompt\n" + "x" * (MAX_PROMPT_BYTES + 1), "csv")
    assert "f.csv: " in error_of("prompt\n" + "x" * (MAX_PROMPT_BYTES + 2), "csv")


def test_the_limit_of_cells_is_put_back() -> None:
    before = csv.field_size_limit(1_234)
    try:
        tasks_of("prompt\na", "csv")
        assert csv.field_size_limit() == 1_234
        error_of('prompt\n"a', "csv")
        assert csv.field_size_limit() == 1_234
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(end: str) -> None:
    text = end.join(["prompt,max_turns", "one,1", "two,2", ""])
    assert [task.prompt for task in tasks_of(text, "csv")] == ["one", "two"]
    text = end.join(["prompt,max_turns", "one,1", "two,x", ""])
    assert error_of(text, "csv").startswith("f.csv: line 3.max_turns: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" \n", "f.csv: is empty"),
        ("prompt\n", "f.csv: has no prompts"),
        ("fix it\ntest it", "f.csv: has no column 'prompt', only fix it"),
        ("prompt,prompt\na,b", "f.csv: line 1: has the same column twice"),
        ("prompt,id,id\na,b,c", "f.csv: line 1: has the same column twice"),
        ("prompt,modle\na,b", "f.csv: line 1: unknown option 'modle'; did you mean"),
        ("prompt,\na,b", "f.csv: line 1: unknown option ''"),
        ("prompt, id\na,b", "f.csv: line 1: unknown option ' id'"),
        ("prompt,id\na,b\nc", "f.csv: line 3: does not have as many cells"),
        ("prompt,id\na,b\nc,d,e", "f.csv: line 3: does not have as many cells"),
        ('prompt\n"a', "f.csv: is not CSV: "),
        ('prompt\n"a"b', "f.csv: is not CSV: "),
        ("prompt,id\na,../x", "f.csv: line 2.id: '../x' can't be an id"),
        ("prompt,id\na,x\nb,X", "f.csv: line 3: the id 'X' is already that of line 2"),
        ("prompt,id\n ,x", "f.csv: line 2.prompt: is empty"),
        ("prompt,max_turns\na,1.5", "f.csv: line 2.max_turns: must be a whole number, not '1.5'"),
        ("prompt,schema\na,{", "f.csv: line 2.schema: is not JSON"),
        ("prompt,permissions\na,root", "f.csv: line 2.permissions: must be one of read"),
        ("prompt,name\na,x", "f.csv: line 2: 'name' is an option of the session"),
    ],
)
def test_bad_csv_is_refused_and_its_line_named(text: str, words: str) -> None:
    assert words in error_of(text, "csv")


def test_an_unknown_column_is_an_unknown_option() -> None:
    with pytest.raises(UnknownOption) as caught:
        parse("prompt,effrt\na,b", "f.csv", "csv")
    assert "effort" in caught.value.nearest


# -- any prompts, any text --------------------------------------------------------------------

PROMPTS = st.text().filter(lambda text: text.strip() != "" and "\0" not in text)
MANY = st.lists(PROMPTS, min_size=1, max_size=5)


def as_csv(prompts: list[str], **options: Any) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, **options)
    writer.writerow(["prompt"])
    writer.writerows([prompt] for prompt in prompts)
    return buffer.getvalue()


@given(MANY, st.booleans())
def test_prompts_come_back_from_json(prompts: list[str], ascii_only: bool) -> None:
    text = json.dumps({"prompts": prompts}, ensure_ascii=ascii_only)
    assert [task.prompt for task in tasks_of(text, "json")] == prompts


@given(MANY, st.booleans())
@example(["a\u2028b", "c\u0085d", "e\x0bf\x1cg"], False)
def test_prompts_come_back_from_jsonl(prompts: list[str], ascii_only: bool) -> None:
    text = "\n".join(json.dumps(prompt, ensure_ascii=ascii_only) for prompt in prompts)
    assert [task.prompt for task in tasks_of(text, "jsonl")] == prompts


@pytest.mark.slow
@given(MANY, st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
@example(['"', ",", "a\rb", "a\r\nb", 'x"\n"y'], csv.QUOTE_MINIMAL)
def test_prompts_come_back_from_csv(prompts: list[str], quoting: int) -> None:
    assert [task.prompt for task in tasks_of(as_csv(prompts, quoting=quoting), "csv")] == prompts


FRAGMENTS = st.lists(
    st.sampled_from(
        ['{"prompts":', "[", "]", "{", "}", '"a"', ",", ":", '"prompt"', '"id"', "\n", "\r", '"',
         "prompt", "id", "timeout_s", "5", "NaN", "1e999", "9" * 320, "\\ud800", "\0", "null",
         "schema", "allow", "é", "\ufeff"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=400)
@given(st.text() | FRAGMENTS, st.sampled_from(["json", "jsonl", "csv"]))
@example("prompt,schema\na," + "[" * 100_000, "csv")
@example("prompt,timeout_s\na,1" + "0" * 400, "csv")
@example("prompt\0\na", "csv")
@example("prompt\n\0", "csv")
def test_any_text_is_read_or_refused(text: str, form: str) -> None:
    try:
        tasks, warnings, _ = parse(text, "f", form)
    except InputError as error:
        assert error.where.startswith("f") and str(error).startswith("f")
        return
    assert tasks and all(isinstance(warning, str) for warning in warnings)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["prompt", "id", "model", "timeout_s", "schema", "allow", "max_turns"]),
            st.none() | st.text(max_size=8) | st.integers() | st.just(10**400) | st.floats(),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_objects_of_any_kind_are_read_or_refused(elements: list[dict[str, Any]]) -> None:
    for text, form in (
        (json.dumps({"prompts": elements}), "json"),
        ("\n".join(map(json.dumps, elements)), "jsonl"),
    ):
        try:
            assert len(parse(text, "f", form)[0]) == len(elements)
        except InputError as error:
            assert error.where.startswith("f: ")
