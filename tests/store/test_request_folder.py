"""Where requests lie: in the state directory, which agents can't reach; never where a file says."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from cpr_nb.model.errors import CprError, SessionNotUsable, StateDirError
from cpr_nb.store.folder_id import folder_id
from cpr_nb.store.key import own_key
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.request_folder import (
    FIELD,
    leave_request,
    make_folder,
    remove_request_folder,
    state_dir_id,
)

ID = "0a1b2c3d-0000-4000-8000-000000000001"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CPR_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    root = tmp_path / f"session-{ID}"
    root.mkdir()
    return SessionPaths(str(root))


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def write_runner(paths: SessionPaths, **fields: object) -> None:
    Path(paths.runner).write_text(json.dumps({"pid": 1, "host": "pod-7", **fields}))


def test_the_folder_is_in_the_state_directory_and_only_its_owners(
    state: Path, paths: SessionPaths
) -> None:
    folder, state_dir_id_ = make_folder(paths, ID)
    assert folder == f"{state}/requests/{ID}.{folder_id(paths.root)}"
    assert re.fullmatch("[0-9a-f]{16}", state_dir_id_)
    for path in (Path(folder), Path(folder).parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert make_folder(paths, ID) == (folder, state_dir_id_), "what waits there stays"
    assert not Path(paths.requests).exists()
    key = own_key()
    assert key is not None and state_dir_id_ == state_dir_id(key)
    remove_request_folder(paths, ID)
    assert not Path(folder).exists()


def test_a_request_goes_where_the_runner_listens(state: Path, paths: SessionPaths) -> None:
    folder, name = make_folder(paths, ID)
    write_runner(paths, **{FIELD: name})
    leave_request(paths, ID, "cancel", "cancel")
    leave_request(paths, ID, "set", "max-parallel", "3")
    assert names(folder) == ["cancel", "max-parallel"]
    assert (Path(folder) / "max-parallel").read_text() == "3"


@pytest.mark.parametrize("runner", [None, b"", b"{", b"[]", b'{"pid":1}', b'{"state_dir_id":null}'])
def test_a_forged_runner_json_leads_no_request_astray(
    state: Path, paths: SessionPaths, runner: bytes | None
) -> None:
    folder, _ = make_folder(paths, ID)
    Path(paths.requests).mkdir()
    if runner is not None:
        Path(paths.runner).write_bytes(runner)
    leave_request(paths, ID, "cancel", "cancel")
    assert names(folder) == ["cancel"] and names(paths.requests) == []


@pytest.mark.parametrize("named", ["0123456789abcdef", ["x"], 7, "../../x"])
def test_a_runner_with_another_state_directory_is_refused_at_once(
    state: Path, paths: SessionPaths, named: object
) -> None:
    Path(paths.requests).mkdir()
    write_runner(paths, **{FIELD: named})
    own_key()
    for verb in ("cancel", "pause"):
        with pytest.raises(SessionNotUsable) as error:
            leave_request(paths, ID, verb, verb)
        assert str(error.value) == (
            f"can't {verb} {ID[:8]}: its runner on pod-7 listens in another state directory; "
            "run cpr there, or share CPR_STATE_DIR"
        )
    assert names(paths.requests) == []


def test_a_runner_of_the_version_before_gets_it_in_the_sessions_folder(
    state: Path, paths: SessionPaths
) -> None:
    Path(paths.requests).mkdir()
    write_runner(paths)
    leave_request(paths, ID, "cancel", "cancel")
    assert names(paths.requests) == ["cancel"] and not state.exists()


def test_without_a_state_directory_it_is_the_sessions_folder(
    tmp_path: Path, paths: SessionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CPR_STATE_DIR", str(tmp_path / "file" / "below"))
    assert make_folder(paths, ID) == (paths.requests, "")
    write_runner(paths)
    leave_request(paths, ID, "cancel", "cancel")
    assert names(paths.requests) == ["cancel"]


def test_a_link_in_place_of_a_folder_is_not_followed(
    state: Path, paths: SessionPaths, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    Path(paths.requests).symlink_to(tmp_path / "elsewhere")
    write_runner(paths)
    with pytest.raises(SessionNotUsable, match="requests can't be written"):
        leave_request(paths, ID, "cancel", "cancel")
    own_key()
    (state / "requests").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateDirError, match=r"requests/.*no folder of yours alone"):
        make_folder(paths, ID)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("session_id", ["", ".", "..", "../x", "a/b", ID + "/..", ID.upper(), "1"])
def test_no_other_folder_is_made_or_removed(
    state: Path, paths: SessionPaths, session_id: str
) -> None:
    own_key()
    before = sorted(state.rglob("*"))
    for function in (
        lambda: make_folder(paths, session_id),
        lambda: remove_request_folder(paths, session_id),
    ):
        with pytest.raises(CprError):
            function()
    assert sorted(state.rglob("*")) == before
