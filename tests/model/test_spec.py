"""Tasks: what may be a prompt and an id, and which element an error names."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpr_nb.model.errors import InputError, UnknownOption
from cpr_nb.model.spec import MAX_PROMPT_BYTES, check_task_id, check_tasks

BAD_IDS = [
    "../../x",
    "..",
    ".",
    "",
    "a..b",
    "a.",
    "x.lock",
    "a.b.lock",
    "x\0",
    "x\n",
    "\nx",
    "a b",
    "a/b",
    "a\\b",
    "-x",
    "--help",
    "_x",
    ".x",
    "a@2",
    "é",
    "a\u0301",
    "１",
    "a\u202eb",
    "\ud800",
    "a:b",
    "a~b",
    "a" * 129,
    "a" * 100_000,
]
GOOD_IDS = ["a", "0", "A", "docs-1", "a.b", "a_b", "x.lock.1", "lock", "x.LOCKS", "1e5", "a" * 128]
BAD_PROMPTS = [
    ("", "is empty"),
    (" \t\r\n\u2003\x0b", "is empty"),
    ("a\0b", "has a NUL character at 1"),
    ("\ud800", "is not valid Unicode at character 0"),
    ("ab\udfff", "is not valid Unicode at character 2"),
    (None, "must be a text, not NoneType"),
    (5, "must be a text, not int"),
    (b"bytes", "must be a text, not bytes"),
    (["a"], "must be a text, not list"),
]


def ids(case: Any) -> str:
    return ascii(case)[:40]


def test_texts_and_mappings_become_tasks_in_their_order() -> None:
    tasks = check_tasks(
        ["one", {"prompt": "two", "id": "t2", "timeout_s": 5}, {"prompt": "three", "id": None}]
    )
    assert [task.prompt for task in tasks] == ["one", "two", "three"]
    assert [task.where for task in tasks] == ["prompts[0]", "prompts[1]", "prompts[2]"]
    assert tasks[1].task_id == "t2"
    assert [task.options for task in tasks] == [{}, {"timeout_s": 5.0}, {}]
    for task in (tasks[0], tasks[2]):
        assert str(uuid.UUID(task.task_id)) == task.task_id


def test_prompts_may_be_any_iterable() -> None:
    assert len(check_tasks(prompt for prompt in ("a", "b"))) == 2


def test_a_mapping_is_not_changed() -> None:
    element = {"prompt": "a", "id": "x", "model": "opus"}
    check_tasks([element])
    assert element == {"prompt": "a", "id": "x", "model": "opus"}


# -- ids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_id", GOOD_IDS, ids=ids)
def test_a_good_id_is_kept_to_the_letter(task_id: str) -> None:
    assert check_tasks([{"prompt": "p", "id": task_id}])[0].task_id == task_id


@pytest.mark.parametrize("task_id", BAD_IDS, ids=ids)
def test_a_hostile_id_is_refused_and_its_element_named(task_id: str) -> None:
    with pytest.raises(InputError) as caught:
        check_tasks(["fine", {"prompt": "p", "id": task_id}], "prompts.json")
    assert caught.value.where == "prompts.json: prompts[1].id"
    assert "can't be an id" in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


@pytest.mark.parametrize("task_id", [5, 1.5, True, ["a"], {"a": 1}, b"a"])
def test_an_id_that_is_no_text_is_refused(task_id: Any) -> None:
    with pytest.raises(InputError, match=r"prompts\[0\]\.id: must be a text, not"):
        check_tasks([{"prompt": "p", "id": task_id}])


@settings(max_examples=300)
@given(st.text(max_size=140) | st.text("ab.-_0/@", max_size=12))
def test_an_id_is_taken_if_and_only_if_it_is_safe(task_id: str) -> None:
    safe = (
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", task_id) is not None
        and not task_id.endswith("\n")
        and ".." not in task_id
        and not task_id.endswith(".")
        and not task_id.endswith(".lock")
    )
    try:
        check_task_id(task_id, "x")
        taken = True
    except InputError:
        taken = False
    assert taken == safe


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "A"), ("Docs-1", "dOCS-1")])
def test_ids_that_are_one_file_name_are_refused(first: str, second: str) -> None:
    with pytest.raises(InputError) as caught:
        check_tasks(["p", {"prompt": "p", "id": first}, {"prompt": "p", "id": second}], "f.json")
    assert caught.value.where == "f.json: prompts[2]"
    assert f"the id {second!r} is already that of prompts[1]" in str(caught.value)


# -- prompts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("prompt", "words"), BAD_PROMPTS, ids=ids)
def test_a_bad_prompt_is_refused_and_its_element_named(prompt: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        check_tasks(["fine", {"prompt": prompt}], "prompts.json")
    assert str(caught.value) == f"prompts.json: prompts[1].prompt: {words}"


@pytest.mark.parametrize(
    ("prompt", "words"), [case for case in BAD_PROMPTS if isinstance(case[0], str)], ids=ids
)
def test_a_bad_text_is_refused_too(prompt: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        check_tasks([prompt])
    assert str(caught.value) == f"prompts[0]: {words}"


@pytest.mark.parametrize("prompt", ["x" * MAX_PROMPT_BYTES, "é" * (MAX_PROMPT_BYTES // 2)])
def test_a_prompt_of_ten_mebibytes_is_taken_and_one_byte_more_is_not(prompt: str) -> None:
    assert MAX_PROMPT_BYTES == 10_485_760
    assert check_tasks([prompt])[0].prompt == prompt
    with pytest.raises(InputError, match="has 10485761 bytes; the CLI takes at most 10485760"):
        check_tasks([prompt + "x"])


@given(st.text())
def test_a_prompt_is_kept_to_the_letter_or_refused(prompt: str) -> None:
    """``st.text()`` makes everything but surrogates."""
    if prompt.strip() and "\0" not in prompt:
        assert check_tasks([prompt])[0].prompt == prompt
    else:
        with pytest.raises(InputError):
            check_tasks([prompt])


# -- elements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("element", [5, None, ["a"], ("a",), b"a", 1.5, True])
def test_an_element_of_another_type_is_refused_and_named(element: Any) -> None:
    kind = type(element).__name__
    with pytest.raises(InputError) as caught:
        check_tasks(["a", element])
    words = f"prompts[1]: must be a text or an object with 'prompt', not {kind}"
    assert str(caught.value) == words


def test_an_object_without_a_prompt_is_refused() -> None:
    with pytest.raises(InputError, match=r"^prompts\[0\]: has no 'prompt'"):
        check_tasks([{"id": "a"}])


def test_no_prompts_are_refused() -> None:
    with pytest.raises(InputError, match="has no prompts"):
        check_tasks([], "prompts.json")


@pytest.mark.parametrize(
    ("name", "nearest"), [("promt", "prompt"), ("ids", "id"), ("timeout", "timeout_s")]
)
def test_an_unknown_key_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownOption) as caught:
        check_tasks([{"prompt": "a", name: "x"}], "prompts.json")
    assert nearest in caught.value.nearest
    assert caught.value.where == "prompts.json: prompts[0]"


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(UnknownOption, match="unknown option '5'"):
        check_tasks([{"prompt": "a", 5: "x"}])


def test_an_option_of_the_session_is_refused_in_a_task() -> None:
    with pytest.raises(InputError, match=r"^prompts\[0\]: 'max_parallel' is an option of the se"):
        check_tasks([{"prompt": "a", "max_parallel": 3}])


def test_a_tasks_bad_option_is_named_with_its_element() -> None:
    with pytest.raises(InputError, match=r"^f\.json: prompts\[1\]\.timeout_s: must be a number"):
        check_tasks(["a", {"prompt": "b", "timeout_s": "soon"}], "f.json")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
ELEMENTS = ANYTHING | st.fixed_dictionaries(
    {"prompt": st.text() | ANYTHING},
    optional={"id": st.text() | ANYTHING, "model": ANYTHING, "schema": ANYTHING, "env": ANYTHING},
)


@settings(max_examples=300)
@given(st.lists(ELEMENTS, max_size=4))
def test_any_elements_are_taken_or_refused(elements: list[Any]) -> None:
    try:
        tasks = check_tasks(elements)
    except InputError as error:
        assert error.where.startswith("prompts")
        return
    assert len(tasks) == len(elements)
    assert len({task.task_id.casefold() for task in tasks}) == len(tasks)
