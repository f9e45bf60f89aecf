"""The seal of a session: what this user launched, every byte of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.digest import hmac_sha256, sha256, sha256_of_file
from cpr_nb.model.errors import StateDirError
from cpr_nb.model.record import first_head
from cpr_nb.runner.session_spec import ChangedError, SessionSpec
from cpr_nb.store import seal, state_dir, trusted
from cpr_nb.store.authorship import read_authorship, read_marks
from cpr_nb.store.create import NewSession
from cpr_nb.store.key import own_key, read_key
from cpr_nb.store.layout import SessionPaths

KEY, OTHER_KEY = bytes(range(32)), bytes(32)


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CPR_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def create(
    results: Path, key: bytes | None = None, session_id: str = "s-1"
) -> tuple[SessionPaths, str]:
    spec: dict[str, Any] = {
        "session_id": session_id,
        "created_at": "2026-01-01T00:00:00.000Z",
        "start_time": 1767225600,
        "cwd": "/",
        "options": {},
        "max_parallel": 1,
        "mark": seal.mark(key, session_id) if key else None,
    }
    tasks = [{"id": "a", "prompt": "first", "options": {}}, {"id": "b", "prompt": "]", "x": "],\n"}]
    with NewSession(str(results), session_id) as new:
        return new.paths, new.complete(spec, tasks, first_head(spec, 2), key=key)


# -- the seal ---------------------------------------------------------------------------------


def test_one_key_is_made_of_many_launches_at_once(own_state: Path) -> None:
    code = "import sys; sys.stdin.read(); from cpr_nb.store.key import own_key; print(own_key())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, text=True)
        for _ in range(8)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    keys = {process.stdout.read() for process in started if process.stdout is not None}
    assert [process.wait() for process in started] == [0] * 8
    for process in started:
        assert process.stdout is not None
        process.stdout.close()
    assert keys == {f"{read_key()}\n"} and read_key() is not None
    assert [path.name for path in own_state.iterdir()] == ["key"]


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=300))
def test_the_digests_are_those_of_the_standard_library(key: bytes, message: bytes) -> None:
    assert sha256(message).digest() == hashlib.sha256(message).digest()
    assert sha256_of_file(message).digest() == hashlib.sha256(message).digest()
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


def test_a_large_session_has_the_same_seal() -> None:
    content = b"x" * 2_000_000 + b"],\n"
    assert sha256_of_file(content).digest() == sha256(content).digest()
    assert seal.is_sealed(seal.sealed(content, KEY), KEY)


@given(st.data())
def test_no_byte_under_the_seal_can_change(data: st.DataObject) -> None:
    content = seal.sealed(b'{"a":1,\n"tasks":[\n{"id":"a"}\n],\n', KEY)
    assert seal.is_sealed(content, KEY) and not seal.is_sealed(content, OTHER_KEY)
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    assert not seal.is_sealed(content[:place] + bytes([byte]) + content[place + 1 :], KEY)


@pytest.mark.parametrize("more", [b" ", b"\n", b"{}", b'],\n"seal":null}\n'])
def test_nothing_can_follow_the_seal(more: bytes) -> None:
    assert not seal.is_sealed(seal.sealed(b'{"tasks":[\n],\n', KEY) + more, KEY)


def test_what_this_user_launched_is_ours_wherever_the_folder_lies(tmp_path: Path) -> None:
    paths, sha256_hex = create(tmp_path / "r", own_key())
    (tmp_path / "r").rename(tmp_path / "moved")
    paths.root = paths.root.replace("/r/", "/moved/")
    authorship = read_authorship(paths)
    assert (authorship.is_ours, authorship.sha256) == (True, sha256_hex)
    assert authorship.spec == json.loads(Path(paths.session).read_bytes())
    head = json.loads(Path(paths.status).read_bytes())
    assert read_marks().is_foreign(head, "s-1") is False
    assert read_marks().is_foreign(head, "s-2") is True


@pytest.mark.parametrize(
    ("key", "why"),
    [(None, "no state directory could be made"), (OTHER_KEY, "sealed with another key")],
)
def test_what_others_launched_is_foreign(tmp_path: Path, key: bytes | None, why: str) -> None:
    assert own_key() is not None
    authorship = read_authorship(create(tmp_path, key)[0])
    assert why in authorship.why
    assert authorship.spec["session_id"] == "s-1", "looking is possible"


def test_what_was_changed_after_its_launch_is_foreign(tmp_path: Path) -> None:
    paths = create(tmp_path, own_key())[0]
    session = Path(paths.session)
    session.write_bytes(session.read_bytes().replace(b"first", b"other"))
    assert read_authorship(paths).why == "its session.json was changed after the launch"


def test_another_folder_does_not_become_ours_by_our_session_json(tmp_path: Path) -> None:
    own, sha256 = create(tmp_path, own_key())
    other, _ = create(tmp_path, OTHER_KEY, "s-2")
    Path(other.session).write_bytes(Path(own.session).read_bytes())
    trusted.remember(trusted.SESSION, sha256, "s-2")
    assert read_authorship(own).is_ours
    assert read_authorship(other).why == "its session.json is that of another session"


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"session_id":"s-1","tasks":[]}', b"{"])
def test_a_folder_without_a_seal_is_foreign(tmp_path: Path, content: bytes | None) -> None:
    paths = create(tmp_path, own_key())[0]
    Path(paths.session).unlink()
    if content is not None:
        Path(paths.session).write_bytes(content)
    assert read_authorship(paths).why


def test_a_link_in_place_of_session_json_is_not_followed(tmp_path: Path) -> None:
    paths = create(tmp_path, own_key())[0]
    Path(paths.session).rename(tmp_path / "elsewhere")
    Path(paths.session).symlink_to(tmp_path / "elsewhere")
    assert not read_authorship(paths).is_ours


def test_trust_is_for_these_bytes_only_and_can_be_taken_back(tmp_path: Path) -> None:
    paths, sha256_hex = create(tmp_path, OTHER_KEY)
    trusted.remember(trusted.SESSION, sha256_hex, "s-1")
    assert read_authorship(paths).is_ours
    assert read_marks().is_foreign({"schema_version": 1}, "s-1") is False
    assert not trusted.is_trusted(trusted.REPOSITORY, sha256_hex)
    trusted.forget(trusted.SESSION, sha256_hex)
    assert not read_authorship(paths).is_ours
    trusted.remember(trusted.SESSION, sha256_hex, "s-1")
    with Path(paths.session).open("ab") as file:
        file.write(b" ")
    assert not read_authorship(paths).is_ours


def test_a_torn_line_takes_no_other_along(own_state: Path) -> None:
    own_key()
    (own_state / "trusted").write_bytes(b'{"is_trusted": true, "ki')
    (own_state / "trusted").chmod(0o600)
    trusted.remember_all(trusted.SESSION, {"1" * 64: "s-1", "2" * 64: "s-2"})
    trusted.forget(trusted.SESSION, "1" * 64)
    assert trusted.trusted(trusted.SESSION) == {"2" * 64: "s-2"}
    (own_state / "trusted").chmod(0o622)
    with pytest.raises(StateDirError, match="others may write to it"):
        trusted.trusted(trusted.SESSION)


# -- the runner's side ------------------------------------------------------------------------


def test_a_runner_takes_no_other_session_json_than_the_checked_one(tmp_path: Path) -> None:
    paths, sha256_hex = create(tmp_path)
    assert len(list(SessionSpec(paths.session, sha256_hex).read_tasks())) == 2
    with Path(paths.session).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ChangedError):
        list(SessionSpec(paths.session, sha256_hex).read_tasks())


def test_a_runner_runs_no_line_that_has_changed_since(tmp_path: Path) -> None:
    paths, sha256_hex = create(tmp_path)
    spec = SessionSpec(paths.session, sha256_hex)
    assert len(list(spec.read_tasks())) == 2
    data = Path(paths.session).read_bytes()
    with Path(paths.session).open("r+b") as file:  # in place: the runner's descriptor sees it
        file.write(data.replace(b'"prompt":"]"', b'"prompt":"["'))
    assert spec.task(0)["prompt"] == "first"
    with pytest.raises(ChangedError, match="not what was launched"):
        spec.task(1)


# -- the state directory ----------------------------------------------------------------------


def test_the_folders_are_those_of_platformdirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CPR_STATE_DIR")
    for environ in ({}, {"XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"}, {"XDG_STATE_HOME": ""}):
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"HOME": str(tmp_path), **environ}.items():
            monkeypatch.setenv(name, value)
        assert state_dir.state_dir() == platformdirs.user_state_dir("cpr", appauthor=False)
        folder = platformdirs.user_config_dir("cpr", appauthor=False)
        assert state_dir.config_file() == f"{folder}/config.toml"


def test_the_key_is_made_once_and_only_its_owner_can_read_it(own_state: Path) -> None:
    assert read_key() is None and not own_state.exists()
    key = own_key()
    assert key is not None and len(key) == 32 and own_key() == key == read_key()
    assert {path.name: path.stat().st_mode & 0o777 for path in own_state.iterdir()} == {
        "key": 0o600
    }
    assert own_state.stat().st_mode & 0o777 == 0o700


def test_a_key_that_others_may_know_is_refused(own_state: Path) -> None:
    own_key()
    key = own_state / "key"
    key.chmod(0o644)
    with pytest.raises(StateDirError, match=r"key: others may read it \(chmod 600\)"):
        own_key()
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(StateDirError, match="it has 5 bytes, not 32"):
        own_key()
    key.unlink()
    key.symlink_to("/etc/hostname")
    with pytest.raises(StateDirError):
        own_key()
    key.unlink()
    own_state.chmod(0o777)
    with pytest.raises(StateDirError, match="others may write to it"):
        own_key()


def test_without_a_state_directory_there_is_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CPR_STATE_DIR", str(tmp_path / "file" / "below"))
    assert (own_key(), read_key(), trusted.trusted(trusted.SESSION)) == (None, None, {})
    trusted.remember(trusted.SESSION, "0" * 64, "s-1")  # as long as this process lives
    assert trusted.is_trusted(trusted.SESSION, "0" * 64)
    trusted.forget(trusted.SESSION, "0" * 64)
    assert not trusted.is_trusted(trusted.SESSION, "0" * 64)
