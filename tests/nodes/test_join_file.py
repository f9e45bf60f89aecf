"""Join files that are no good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zmq

from cpr_nb.nodes.hub_search import HubSearch
from cpr_nb.nodes.join_file import JoinFile, JoinFileError
from cpr_nb.nodes.join_source import JoinSource
from cpr_nb.nodes.wire import new_key_pair

KEY, SECRET = new_key_pair()
GOOD: dict[str, Any] = {
    "session_id": "s1",
    "addresses": ["127.0.0.1"],
    "port": 4711,
    "hub_key": KEY,
    "client_key": KEY,
    "client_secret": SECRET,
    "lease_s": 120,
    "probes": [{"name": "cwd", "path": "/w", "nonce": ""}],
}
DAMAGED = [
    *[(name, None) for name in GOOD],
    ("port", 70_000),
    ("port", 0),
    ("port", "4711"),
    ("addresses", []),
    ("addresses", [1]),
    ("hub_key", "abc"),
    ("client_secret", "x" * 39 + " "),
    ("lease_s", 0),
    ("lease_s", float("inf")),
    ("lease_s", float("nan")),
    ("probes", [3]),
    ("probes", [{"name": "cwd"}]),
]


def source(folder: Path, text: str, mode: int = 0o600) -> JoinSource:
    path = folder / "join.json"
    path.write_text(text)
    path.chmod(mode)
    return JoinSource(str(path), "")


def test_a_good_one_is_read(tmp_path: Path) -> None:
    assert source(tmp_path, json.dumps(GOOD)).read().port == 4711


@pytest.mark.parametrize(("name", "value"), DAMAGED)
def test_a_damaged_field_is_named(name: str, value: object) -> None:
    with pytest.raises(JoinFileError, match=f"the field {name} is missing or wrong"):
        JoinFile({**GOOD, name: value})


@pytest.mark.parametrize(
    "text",
    ["", "[]", json.dumps(GOOD)[:100], "\x00\ufffd"],
    ids=["empty", "list", "torn", "binary"],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(JoinFileError) as caught:
        source(tmp_path, text).read()
    assert str(caught.value).startswith(f"{tmp_path}/join.json: no join file of cpr: ")


def test_one_that_is_away_says_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(JoinFileError, match=r"No such file.*join\.json in its folder, for as long"):
        JoinSource(f"{tmp_path}/none.json", "").read()


def test_one_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JoinFileError, match=r"everybody on this machine can read it.*chmod 600"):
        source(tmp_path, json.dumps(GOOD), 0o644).read()


def test_a_join_file_that_was_away_for_a_moment_is_no_end_of_the_session(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    search = HubSearch(JoinSource(str(tmp_path / "join.json"), ""), "", context)
    search.step(1.0)
    assert search.is_over
    source(tmp_path, json.dumps(GOOD))
    search.step(search.next_at)
    assert not search.is_over
    context.term()
