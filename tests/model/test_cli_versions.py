"""Versions of the CLI: reading them, and what each option needs."""

from __future__ import annotations

from typing import Any

import pytest

from cpr_nb.model import cli_versions
from cpr_nb.model.cli_versions import (
    FOLLOW_UP,
    NEEDS,
    OLDEST_SUPPORTED,
    depends_on_version,
    may_ask_endlessly,
    parse_version,
    unmet_need,
    version_in,
)
from cpr_nb.model.options import OPTIONS

_VALUES: dict[str, Any] = {"schema": {"type": "object"}, "task_budget_usd": 1.0}


def options_of(need: str) -> dict[str, Any]:
    name, _, value = need.partition("=")
    return {} if need == FOLLOW_UP else {name: value or _VALUES.get(name, "x")}


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("2.1.332 (Claude Code)\n", (2, 1, 332)),
        ("proxy 1.2.3 is up\n  2.0.0 (Claude Code)", (2, 0, 0)),
        ("2.1.332", None),
        ("9.9.9 (stub)", None),
        ("v2.1.332-beta (Claude Code)", None),
        ("2.1 (Claude Code)", None),
        ("2.1.99999999999 (Claude Code)", None),
        ("", None),
    ],
)
def test_a_version_is_read_from_what_the_cli_prints(output: str, version: Any) -> None:
    assert version_in(output) == version


@pytest.mark.parametrize("text", [None, 7, "", "latest", "2.1", "2.1.3.4", "2.1.3 ", "x2.1.3"])
def test_what_is_no_version_is_none(text: object) -> None:
    assert parse_version(text) is None


def test_versions_are_compared_as_numbers() -> None:
    assert (parse_version("2.1.32") or ()) < (parse_version("2.1.126") or ())


@pytest.mark.parametrize("need", NEEDS)
def test_each_need_is_about_a_real_option_and_has_a_first_version(need: str) -> None:
    name = need.partition("=")[0]
    assert need == FOLLOW_UP or name in OPTIONS
    since = NEEDS[need]
    before = (since[0], since[1], since[2] - 1)
    follows = need == FOLLOW_UP
    words = unmet_need(before, options_of(need), is_follow_up=follows)
    assert words == f"{need} needs Claude Code {cli_versions.show(since)} or newer"
    assert unmet_need(since, options_of(need), is_follow_up=follows) is None


def test_a_value_is_needed_only_where_it_is_asked_for() -> None:
    assert unmet_need((2, 1, 71), {"effort": "high"}) is None
    assert unmet_need((2, 1, 71), {"effort": "xhigh"}) is not None
    assert unmet_need((2, 0, 0), {"permissions": "edits"}) is None


def test_a_schema_without_a_budget_is_dangerous_on_some_versions() -> None:
    schema = {"schema": {}}
    assert may_ask_endlessly((2, 1, 126), schema)
    assert not may_ask_endlessly((2, 1, 126), {**schema, "task_budget_usd": 1.0})
    assert not may_ask_endlessly((2, 1, 126), {})
    assert not may_ask_endlessly(cli_versions.NEWEST_TESTED, schema)


def test_what_depends_on_the_version() -> None:
    assert depends_on_version({"schema": {}})
    assert depends_on_version({"effort": "low"})
    assert depends_on_version({"permissions": "sandbox"})
    assert not depends_on_version({"permissions": "edits", "model": "opus"}, is_follow_up=True)
    assert OLDEST_SUPPORTED <= cli_versions.NEWEST_TESTED
