"""A hub that was not told of what runs on a node: it ends there, and the node agent goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.hub_bed import HubBed


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
