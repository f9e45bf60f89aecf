"""Another hub takes a node agent over: with the leases of the first one, or without them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.hub_bed import HubBed

#: In one worker: a sweep ends what has a token on this machine, and all of them use the same ones.
pytestmark = pytest.mark.xdist_group("hub")


@pytest.fixture
def bed(tmp_path: Path, token: str) -> Iterator[HubBed]:
    with HubBed(tmp_path) as bed:
        yield bed


def test_what_a_new_hub_does_not_lease_is_ended(bed: HubBed) -> None:
    os.mkfifo(bed.folder / "never")
    bed.node()
    life = bed.live()
    bed.start(life, "t@1", "echo up; read line < never")
    pid = bed.receive("started", token="t@1")["pid"]
    bed.kill_hub()
    bed.open()
    bed.receive("node", state="live")
    bed.start(life, "t@2", "echo on")
    bed.receive("ended", token="t@2")
    assert bed.stream("t@2") == "on\n"
    assert bed.agents[0].process.poll() is None, "the node agent goes on"
    assert not Path(f"/proc/{pid}").exists()


def test_nodes_leave_a_hub_whose_session_was_taken_over(bed: HubBed) -> None:
    os.mkfifo(bed.folder / "go")
    bed.node()
    life = bed.live()
    bed.start(life, "t@1", "echo up; read line < go; echo $line")
    bed.receive("started", token="t@1")
    hub, link = bed.leave_hub()
    try:
        (bed.folder / "owner.1").touch()
        out, err = str(bed.folder / "t@1.jsonl"), str(bed.folder / "t@1.err")
        bed.open([{"token": "t@1", "life": life, "out": out, "err": err}], claim=1)
        assert "t@1" in bed.receive("node", state="live")["runs"]
        (bed.folder / "go").write_text("home\n")
        assert bed.receive("ended", token="t@1")["cause"] == ""
        assert bed.stream("t@1") == "up\nhome\n"
        assert hub.poll() is None, "it waits for its runner"
    finally:
        link.close()
        hub.wait()
