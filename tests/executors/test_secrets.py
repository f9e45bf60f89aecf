"""What nobody else may read: values of ``env=``, the keys of a session, the prompts on the wire."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, prompts
from testkit.node_agents import JOIN_FILE
from testkit.relay import Relay
from testkit.stub import plan

import cpr_nb as cpr
from executors.place import Place

SECRET = "the-secret-7f3a91c2e5"
PROMPT = "the-prompt-2c8d04b6a9"
ANSWER = "the-answer-91e7f0d35b"


@pytest.fixture
def place(tmp_path: Path, stub_env: dict[str, str]) -> Iterator[Place]:
    """A place whose nodes have a folder of their own for temporary files."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    place = Place(tmp_path / "place", {**stub_env, "TMPDIR": str(temporary)}, 2)
    with place.nodes:
        yield place


def held(place: Place) -> str:
    """One task that says that it is there, and another one."""
    place.stub.fifos("a")
    waits = plan(here="a", gate="a", say=ANSWER)
    return prompts(
        {"id": "a", "prompt": f"{PROMPT} {waits}", "env": {"OWN": SECRET}},
        {"id": "b", "prompt": f"{PROMPT} {plan(say=ANSWER)}"},
    )


def processes_with(secret: str, file: str) -> dict[int, bytes]:
    """The processes of this machine in one of whose files in /proc a text is: pid → command."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if secret.encode() in (folder / file).read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes()
    return found


def files_with(secret: str, folder: Path) -> list[str]:
    """The files below a folder in which a text is."""
    paths = [Path(top, name) for top, _, names in os.walk(folder) for name in names]
    files = [path for path in paths if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if secret.encode() in path.read_bytes()]


def secrets_of(join: dict[str, Any]) -> list[str]:
    """The values of a join file that let others in."""
    return [value for name, value in join.items() if "secret" in name]


def finish(place: Place, session: cpr.Session) -> None:
    place.stub.release("a")
    place.finish(session)
    assert [task.ok for task in session] == [True, True]


def test_a_value_of_env_is_found_nowhere(place: Place, tmp_path: Path) -> None:
    session = place.launch(held(place), "-j2", "--env", f"ALL={SECRET}")
    place.stub.await_here("a")
    session.wait_until(lambda: session[1].ok, LIMIT_S, "the other task")
    assert not processes_with(SECRET, "cmdline")
    holders = processes_with(SECRET, "environ")
    assert any(str(place.stub).encode() in command for command in holders.values())
    assert not any(JOIN_FILE.encode() in command for command in holders.values())
    calls = [f"place/stub/calls/{file.name}" for file in (place.stub.folder / "calls").iterdir()]
    assert sorted(files_with(SECRET, tmp_path)) == sorted(calls), "only the stub tells of it"
    finish(place, session)
    assert sorted(files_with(SECRET, tmp_path)) == sorted(calls)


def test_the_keys_of_a_session_are_in_its_private_files_only(place: Place, tmp_path: Path) -> None:
    session = place.launch(held(place), "-j2")
    place.stub.await_here("a")
    paths = [session.path / JOIN_FILE, session.path / "hub.key"]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    keys = secrets_of({**json.loads(paths[0].read_text()), **json.loads(paths[1].read_text())})
    assert len(keys) == 2
    for key in keys:
        assert {*files_with(key, tmp_path)} <= {str(path.relative_to(tmp_path)) for path in paths}
        for file in ("cmdline", "environ"):
            assert not processes_with(key, file)
    finish(place, session)
    for key in keys:
        assert files_with(key, tmp_path) == []


def test_what_passes_on_the_wire_can_not_be_read(place: Place) -> None:
    text = held(place)
    session = place.command.launch(text, "--executor", "agents", "--env", f"ALL={SECRET}")
    join = json.loads((session.path / JOIN_FILE).read_text())
    with Relay(join["port"]) as relay:
        place.nodes.join(session, "n1", slots=2, options=("--address", relay.address))
        place.stub.await_here("a")
        session.wait_until(lambda: session[1].ok, LIMIT_S, "the other task")
        finish(place, session)
        seen = relay.seen
    assert len(seen) > len(PROMPT) + len(ANSWER)
    for words in (SECRET, PROMPT, ANSWER, str(place.work), session.id, *secrets_of(join)):
        assert words.encode() not in seen
