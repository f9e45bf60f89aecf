"""A process on a node without the CLI's folder of home: its conversation comes along, and home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.nodes import carried_run
from cpr_nb.nodes.outbox import Outbox, Transcripts
from cpr_nb.runner.remote.landing import land
from cpr_nb.store.conversation import transcript_folder

_LIMIT_S = 60.0


class Carried:
    """Starts such processes; what they bring home is in `landed`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.landed = folder, folder / "landed"
        self.home, self.cwd = folder / "home", folder / "work"
        for made in (self.home, self.cwd, self.landed):
            made.mkdir()
        self.spool = folder / "1.home"

    @property
    def conversations(self) -> Path:
        """Where the CLI keeps conversations on the node."""
        return Path(transcript_folder(f"{self.home}/.claude", str(self.cwd)))

    def start(self, script: str, parcel: Path | None = None) -> subprocess.Popen[bytes]:
        spec: dict[str, Any] = {
            "argv": [sys.executable, "-c", script, str(self.conversations)],
            "cwd": str(self.cwd),
            "parcel": str(parcel or ""),
            "home": str(self.spool),
            "root": str(self.folder),
            "place": str(self.folder / "place"),
            "conversation_id": "c-1",
            "has_fourth": False,
        }
        path = self.folder / "1.spec"
        path.write_text(json.dumps(spec))
        self.spool.write_bytes(b"")
        return subprocess.Popen(
            [sys.executable, "-I", str(carried_run.__file__), str(path)],
            env={**os.environ, "HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        out = process.communicate(timeout=_LIMIT_S)
        land(str(self.spool), str(self.landed), str(self.folder / "b"), str(self.folder / "s"))
        assert not self.spool.exists()
        return out


@pytest.fixture
def carried(tmp_path: Path) -> Carried:
    return Carried(tmp_path)


_WRITE = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "c-1/subagents").mkdir(parents=True)
(folder / "c-1.jsonl").open("a").write("own\\n")
(folder / "c-1/subagents/agent-a.jsonl").write_text("sub\\n")
(folder / "other.jsonl").write_text("of another task\\n")
print("out")
sys.exit(7)
"""


def test_the_conversation_comes_home_and_the_exit_code_stays(carried: Carried) -> None:
    process = carried.start(_WRITE)
    assert carried.finish(process) == (b"out\n", b"")
    assert process.returncode == 7
    names = sorted(str(f.relative_to(carried.landed)) for f in carried.landed.rglob("*.jsonl"))
    assert names == ["c-1.jsonl", "c-1/subagents/agent-a.jsonl"]
    assert (carried.landed / "c-1.jsonl").read_text() == "own\n"


def test_a_conversation_that_goes_on_is_planted_first(carried: Carried) -> None:
    source = carried.folder / "c-1.jsonl"
    source.write_text("earlier\n")
    parcel = carried.folder / "parcel"
    with tarfile.open(parcel, "w") as tar:
        tar.add(source, "transcripts/c-1.jsonl")
    carried.finish(carried.start(_WRITE, parcel))
    assert (carried.landed / "c-1.jsonl").read_text() == "earlier\nown\n"
    assert not parcel.exists()


def test_a_signal_reaches_the_process_and_is_its_end(carried: Carried) -> None:
    process = carried.start("import signal; print('here', flush=True); signal.pause()")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    carried.finish(process)
    assert process.returncode == -signal.SIGTERM


def test_what_was_shipped_is_not_shipped_again(tmp_path: Path) -> None:
    file, spool = tmp_path / "c-1.jsonl", tmp_path / "spool"
    spool.write_bytes(b"")
    outbox, shipped = Outbox(str(spool)), Transcripts(str(tmp_path), "c-1", 0)
    for text in ("one\n", "one\ntwo\n", "ONE\ntwo\n", "ONE\n"):
        file.write_text(text)
        shipped.ship(outbox)
        shipped.ship(outbox)
    outbox.close()
    with tarfile.open(spool) as tar:
        sent = [(m.pax_headers["CPR.offset"], m.size) for m in tar]
    assert sent == [("0", 4), ("4", 4), ("0", 8), ("0", 4)]
    land(str(spool), str(tmp_path / "landed"), "", "")
    assert (tmp_path / "landed/c-1.jsonl").read_text() == "ONE\n"


def test_a_spool_that_breaks_off_is_good_up_to_there(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.write_bytes(b"")
    outbox = Outbox(str(spool))
    outbox.add("transcripts/a.jsonl", b"a" * 2000)
    outbox.add("transcripts/b.jsonl", b"b" * 2000)
    outbox.add("transcripts/../../evil.jsonl", b"e")
    outbox.add("transcripts/.hidden", b"e")
    whole = spool.read_bytes()
    for n_bytes in range(0, len(whole) + 1, 256):
        spool.write_bytes(whole[:n_bytes])
        folder = tmp_path / f"at-{n_bytes}/below/folder"
        land(str(spool), str(folder), "", "")
        found = {path.name: path.read_bytes() for path in folder.glob("*")}
        assert set(found) <= {"a.jsonl", "b.jsonl"}
        assert all(len(content) == 2000 for content in found.values())
    assert set(found) == {"a.jsonl", "b.jsonl"}
    assert not list(tmp_path.rglob("evil*"))
    outbox.close()


def test_a_conversation_without_its_work_does_not_count(tmp_path: Path) -> None:
    spool, landed, bundle = tmp_path / "spool", tmp_path / "landed", tmp_path / "bundle"
    spool.write_bytes(b"")
    outbox = Outbox(str(spool))
    outbox.add("transcripts/a.jsonl", b"a" * 2000)
    outbox.add("bundle", b"b" * 2000)
    whole = spool.read_bytes()
    for n_bytes in (2000, len(whole) - 600, len(whole)):
        spool.write_bytes(whole[:n_bytes])
        came = land(str(spool), str(landed), str(bundle), "", needs_bundle=True)
        assert came.is_complete == landed.exists() == bundle.exists() == (n_bytes == len(whole))
    outbox.close()
