"""Templates: what is a place, what stays as it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.errors import InputError
from cpr_nb.model.templates import fill, names

TEXT = st.text(st.sampled_from("{}{}{}ab_1 .:!\"'é\n") | st.characters(codec="utf-8"), max_size=60)
NAMES = st.sampled_from(["a", "b", "ab", "_", "name", "élan", "x1"])
VALUES = st.dictionaries(NAMES, TEXT, min_size=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no place",
        "{}",
        "{0}",
        "{a.b}",
        "{a[0]}",
        "{x:>3}",
        "{x!r}",
        "{ x }",
        "{x y}",
        "{2x}",
        "{x",
        "x}",
        "${{ github.sha }}",
        "{{ jinja }}",
        "{{1}}",
        '{"a": {"b": [1, 2]}}',
        "for (;;) { if (x) { y(); } }",
        "awk '{print $1}'",
    ],
)
def test_every_other_brace_stays_as_it_is(text: str) -> None:
    assert fill(text, {"x": "X", "a": "A", "b": "B"}) == text
    assert names(text) == ()


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{x}", "7"),
        ("{x}{x}", "77"),
        ('{"n": {x}}', '{"n": 7}'),
        ("{{x}}", "{x}"),
        ("{{{x}}}", "{{x}}"),
        ("{{x}", "{7"),
        ("{x}}", "7}"),
        ("{{{x}}", "{{x}"),
        ("${x}", "$7"),
        ("{x} {{x}} {x}", "7 {x} 7"),
    ],
)
def test_a_place_is_filled_and_braces_can_be_written(template: str, text: str) -> None:
    assert fill(template, {"x": 7}) == text


def test_an_unknown_name_is_an_error_that_says_what_to_write() -> None:
    with pytest.raises(InputError) as caught:
        fill("Review {pth}", {"path": "a", "other": "b"}, "prompts[2]")
    assert str(caught.value) == (
        "prompts[2]: nothing is called {pth}: did you mean {path}? "
        "For the braces themselves write {{pth}}"
    )
    assert fill("Review {{pth}}", {}) == "Review {pth}"


def test_names_come_once_in_order() -> None:
    assert names("{b} {a} {b} {{c}} {d.e} {f}") == ("b", "a", "f")


@given(VALUES, st.lists(NAMES, max_size=6), TEXT)
def test_a_value_is_never_looked_at_again(
    values: dict[str, str], used: list[str], glue: str
) -> None:
    glue = glue.replace("{", "(").replace("}", ")")
    used = [name for name in used if name in values]
    template = glue + "".join("{" + name + "}" + glue for name in used)
    assert fill(template, values) == glue + "".join(values[name] + glue for name in used)


@given(TEXT, VALUES)
def test_any_text_can_be_written(text: str, values: dict[str, str]) -> None:
    doubled = re.sub(
        r"(\{+)(\w+)(\}+)",
        lambda m: "{" + m[0] + "}" if m[2].isidentifier() else m[0],
        text,
    )
    assert names(doubled) == ()
    assert fill(doubled, values) == text


@given(TEXT)
def test_filling_fails_exactly_if_a_name_has_no_value(text: str) -> None:
    found = names(text)
    fill(text, dict.fromkeys(found, ""))
    for name in found:
        with pytest.raises(InputError):
            fill(text, dict.fromkeys(set(found) - {name}, ""))
