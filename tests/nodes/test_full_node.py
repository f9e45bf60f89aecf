"""A node whose disk is full takes no tasks, and fails none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.far_nodes import why_not
from testkit.hub_bed import HubBed

from cpr_nb.runner.process import start_time

pytestmark = [
    pytest.mark.xdist_group("hub"),  # see test_leases.py
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "there are namespaces"),
]


@pytest.fixture
def bed(tmp_path: Path, token: str) -> Iterator[HubBed]:
    with HubBed(tmp_path) as bed:
        yield bed


def on_small_disk(bed: HubBed, size: str) -> list[str]:
    """Words before a command whose TMPDIR is a small disk of its own."""
    disk = bed.folder / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size={size} none "$0" && TMPDIR="$0" exec "$@"'
    return ["unshare", "-rm", "sh", "-c", mount, str(disk)]


def test_it_hands_on_what_it_has_and_leaves(bed: HubBed) -> None:
    agent = bed.node(before=on_small_disk(bed, "24m"))
    life = bed.live()
    twin = agent.twin_pid
    bed.start(life, "t@1", "exec sleep 1000")
    bed.receive("started", token="t@1")
    bed.start(life, "t@2", "exec dd if=/dev/zero bs=32M count=1")
    why = str(bed.receive("node", state="leaving")["why"])
    assert why.startswith("its disk is full: it needs 16 MB in ")
    ends = [bed.receive("ended") for _ in range(2)]
    assert {(end["token"], end["cause"]) for end in ends} == {("t@1", "stop"), ("t@2", "stop")}
    for end in ends:
        bed.send("acked", token=end["token"])
    assert bed.receive("node", state="left")["why"] == why
    assert agent.farewell() == f"cpr agent: {why}"
    while start_time(twin) is not None:
        pass


def test_it_does_not_begin(bed: HubBed) -> None:
    agent = bed.node(before=on_small_disk(bed, "4m"))
    assert agent.farewell().startswith("cpr agent: its disk is full: it needs 16 MB in ")
    assert agent.process.returncode == 2
