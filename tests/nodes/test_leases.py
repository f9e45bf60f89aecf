"""A hub and node agents, where something breaks: nothing is lost, and nothing is done by two."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from testkit import processes
from testkit.hub_bed import HubBed, NodeProcess
from testkit.relay import Relay

from cpr_nb.runner.process import start_time

#: In one worker: a sweep ends what has a token on this machine, and all of them use the same ones.
pytestmark = pytest.mark.xdist_group("hub")

SHORT_S, LONG_S = 2, 60
#: It says its pid, and then waits until the test writes into its gate.
BLOCKED = "echo $$; read line < gate; echo went $line"


@pytest.fixture
def bed(tmp_path: Path, token: str) -> Iterator[HubBed]:
    os.mkfifo(tmp_path / "gate")
    with HubBed(tmp_path, LONG_S) as bed:
        yield bed


@pytest.fixture
def short(tmp_path: Path, token: str) -> Iterator[HubBed]:
    os.mkfifo(tmp_path / "gate")
    with HubBed(tmp_path, SHORT_S) as bed:
        yield bed


@contextmanager
def relay(bed: HubBed) -> Iterator[Relay]:
    """A cable between the hub and a node."""
    with Relay(json.loads(bed.join.read_text())["port"]) as cable:
        yield cable


def started(bed: HubBed, life: str, token: str = "t@1", script: str = BLOCKED) -> int:
    """Starts something; returns its pid once it has said it."""
    bed.start(life, token, script)
    bed.receive("started", token=token)
    while not bed.stream(token):
        pass
    return int(bed.stream(token).split()[0])


def let_go(bed: HubBed) -> None:
    """What is blocked goes on."""
    with (bed.folder / "gate").open("w") as gate:
        gate.write("on\n")


def lease(bed: HubBed, token: str, life: str) -> dict[str, str]:
    """A lease that an earlier hub gave, as the runner's journal knows it."""
    return {"token": token, "life": life, "out": f"{token}.jsonl", "err": f"{token}.err"}


def await_end(pid: int) -> None:
    """Waits until a process is gone."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([pidfd], [], [])
    os.close(pidfd)


# --- A node agent dies --------------------------------------------------------------------------


def test_the_twin_of_a_killed_node_agent_ends_all_and_says_so(bed: HubBed) -> None:
    agent = bed.node()
    life = bed.live()
    child = "setsid sh -c 'echo $$ > child; echo > up; read line < gate' & read line < up; "
    os.mkfifo(bed.folder / "up")
    pid = started(bed, life, script=child + BLOCKED)
    twin = agent.twin_pid
    agent.signal(signal.SIGKILL)
    lost = bed.receive("lost", token="t@1")
    assert "its twin has ended what ran" in lost["why"]  # long before the lease is over
    assert start_time(pid) is None
    assert start_time(int((bed.folder / "child").read_text())) is None
    await_end(twin)
    assert bed.spools() == []
    bed.node()  # on the same machine, by the same name
    assert bed.live() != life


def test_with_node_agent_and_twin_all_dies(short: HubBed) -> None:
    agent = short.node()
    pid = started(short, short.live())
    os.kill(agent.twin_pid, signal.SIGSTOP)  # it must not come first
    agent.signal(signal.SIGKILL)
    await_end(pid)
    assert short.receive("node", state="silent")["runs"] == ["t@1"]
    assert short.receive("lost", token="t@1")["why"].startswith("silent for ")
    _kill_stopped_twin(agent)


def _kill_stopped_twin(agent: NodeProcess) -> None:
    agent.process.wait()
    for pid, command in processes.survivors(os.environ[processes.TOKEN]).items():
        if "nodes/__main__" in command:
            processes.end(pid)


def test_a_node_agent_without_a_twin_begins_a_new_life(bed: HubBed) -> None:
    agent = bed.node()
    life = bed.live()
    pid = started(bed, life)
    os.kill(agent.twin_pid, signal.SIGKILL)
    assert bed.receive("ended", token="t@1")["cause"] == "stop"
    await_end(pid)
    bed.send("acked", token="t@1")
    bed.receive("node", life=life, state="left")
    assert bed.live() != life
    assert agent.process.poll() is None
    assert agent.twin_pid > 0


def test_a_stopped_node_agent_is_fenced_by_its_twin(short: HubBed) -> None:
    agent = short.node()
    life = short.live()
    pid = started(short, life)
    agent.signal(signal.SIGSTOP)
    short.receive("lost", token="t@1")
    assert start_time(pid) is None  # nobody else may begin before
    agent.signal(signal.SIGCONT)
    assert short.live() != life


# --- The cable ----------------------------------------------------------------------------------


def test_a_short_cut_changes_nothing(bed: HubBed) -> None:
    with relay(bed) as cable:
        bed.node(f"--address={cable.address}")
        life = bed.live()
        started(bed, life)
        cable.cut()
        let_go(bed)
        bed.start(life, "t@2", "echo two")
        cable.mend()
        ends = [bed.receive("ended") for _ in range(2)]  # in any order
        assert {end["token"]: end["cause"] for end in ends} == {"t@1": "", "t@2": ""}
        assert bed.stream("t@1").endswith("went on\n")
        assert bed.stream("t@2") == "two\n"
        assert not [message for message in bed.seen if message["type"] == "lost"]
        bed.end()


def test_a_long_cut_ends_what_runs_before_it_is_lost(short: HubBed) -> None:
    with relay(short) as cable:
        short.node(f"--address={cable.address}")
        life = short.live()
        pid = started(short, life)
        cable.cut()
        short.receive("node", state="silent")
        short.receive("lost", token="t@1")
        assert start_time(pid) is None
        cable.mend()
        assert short.live() != life
        assert not [message for message in short.seen if message["type"] == "ended"]


def test_ends_by_the_lease_say_so(short: HubBed) -> None:
    with relay(short) as cable:
        short.node(f"--address={cable.address}")
        pid = started(short, short.live(), script=f"trap 'echo bye; exit 0' TERM; {BLOCKED}")
        cable.cut()
        await_end(pid)  # by its node agent, which can say so only later
        cable.mend()
        end = short.receive("ended", token="t@1")
        assert end["cause"] == "lease", (end, short.stream("t@1"), short.seen)
        assert short.stream("t@1").split() == [str(pid), "bye"]


def test_who_was_cut_off_when_the_session_ended_leaves(short: HubBed) -> None:
    with relay(short) as cable:
        agent = short.node(f"--address={cable.address}")
        short.live()
        cable.cut()
        short.end()
        cable.mend()
        assert agent.farewell() == "cpr agent: the session is over"


# --- The hub dies -------------------------------------------------------------------------------


def test_a_new_hub_adopts_what_runs_and_learns_of_ends(bed: HubBed) -> None:
    bed.node()
    life = bed.live()
    started(bed, life)
    bed.start(life, "t@2", "echo two; exit 4")
    bed.receive("ended", token="t@2")  # but the runner dies before it has journalled that
    bed.kill_hub()
    port = json.loads(bed.join.read_text())["port"]
    bed.open([lease(bed, "t@1", life), lease(bed, "t@2", life), lease(bed, "t@3", life)])
    assert json.loads(bed.join.read_text())["port"] == port
    assert bed.receive("node", state="live")["runs"] == ["t@1", "t@2"]
    assert bed.receive("lost", token="t@3")["why"] == "its node does not know it"
    end = bed.receive("ended", token="t@2")
    assert os.waitstatus_to_exitcode(end["status"]) == 4
    assert bed.stream("t@2") == "two\n"
    bed.start(life, "t@4", "echo four")  # the orders of a new hub begin at 1 again
    bed.receive("ended", token="t@4")
    let_go(bed)
    bed.receive("ended", token="t@1")
    assert bed.stream("t@1").endswith("went on\n")
    assert bed.stream("t@4") == "four\n"


def test_what_a_new_hub_did_not_lease_is_ended(bed: HubBed) -> None:
    bed.node()
    pid = started(bed, bed.live())
    bed.kill_hub()
    bed.open([])
    assert bed.receive("node", state="live")["runs"] == []
    await_end(pid)


def test_a_node_that_does_not_come_back_to_a_new_hub_is_lost(short: HubBed) -> None:
    agent = short.node()
    life = short.live()
    started(short, life)
    short.kill_hub()
    agent.end()
    short.open([lease(short, "t@1", life)])
    short.receive("lost", token="t@1")


def test_a_hub_that_is_away_for_longer_than_the_lease(short: HubBed) -> None:
    short.node()
    life = short.live()
    pid = started(short, life)
    short.kill_hub()
    await_end(pid)
    short.open([lease(short, "t@1", life)])
    assert short.receive("ended", token="t@1")["cause"] == "lease"
    short.send("acked", token="t@1")
    short.start(life, "t@2", "echo two")
    short.receive("ended", token="t@2")


def test_a_stopped_hub_loses_nobody(short: HubBed) -> None:
    short.node()
    life = short.live()
    pid = started(short, life)
    short.hub.send_signal(signal.SIGSTOP)
    await_end(pid)  # its lease is over
    short.hub.send_signal(signal.SIGCONT)
    assert short.receive("ended", token="t@1")["cause"] == "lease"
    short.start(life, "t@2", "echo two")
    short.receive("ended", token="t@2")
    assert not [message for message in short.seen if message.get("state") == "lost"]
