"""A hub and node agents, where nothing breaks: starts, streams, ends, orders, good-byes."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from testkit.hub_bed import HubBed

from cpr_nb.nodes.join_file import JoinFile
from cpr_nb.nodes.wire import Connection, new_key_pair
from cpr_nb.runner.process import start_time

#: In one worker: a sweep ends what has a token on this machine, and all of them use the same ones.
pytestmark = pytest.mark.xdist_group("hub")


@pytest.fixture
def bed(tmp_path: Path, token: str) -> Iterator[HubBed]:
    with HubBed(tmp_path) as bed:
        yield bed


def test_a_process_runs_on_a_node(bed: HubBed) -> None:
    bed.node()
    node = bed.receive("node", state="live")
    assert (node["name"], node["slots"], node["claude_version"]) == ("n1", 2, "9.9.9")
    assert node["sees"] == {"cwd": True, "no": False}
    script = "cat; pwd; echo $CPR_NODE; echo $LOGNAME-$ONE; echo oops >&2; exit 3"
    env = {"ONE": "ä", "CPR_TASK_TOKEN": "t@1"}
    bed.start(node["life"], "t@1", script, stdin="hallo\n", env=env)
    assert bed.receive("started", token="t@1")["pid"] > 0
    end = bed.receive("ended", token="t@1")
    assert (os.waitstatus_to_exitcode(end["status"]), end["cause"]) == (3, "")
    assert end["rss_bytes"] > 100_000
    assert bed.stream("t@1") == f"hallo\n{bed.folder}\n{node['life']}\n-ä\n"
    assert bed.stream("t@1", "err") == "oops\n"
    bed.send("acked", token="t@1")
    bed.end()
    assert bed.agents[0].farewell() == "cpr agent: the session is over"
    assert bed.agents[0].process.returncode == 0
    assert bed.spools() == []
    assert not bed.join.exists()
    assert not (bed.folder / "hub.key").exists()


def test_keys_are_private(bed: HubBed) -> None:
    for path in (bed.join, bed.folder / "hub.key"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_can_not_start_says_why(bed: HubBed) -> None:
    bed.node()
    life = bed.live()
    bed.start(life, "t@1", "", argv=["/no/such"])
    refusal = bed.receive("refused", token="t@1")
    assert (refusal["strerror"], refusal["filename"]) == ("No such file or directory", "/no/such")
    bed.start(life, "t@2", "", cwd="/no/folder")
    assert bed.receive("refused", token="t@2")["filename"] == "/no/folder"
    bed.start(life, "t@3", "", argv=["/etc/passwd"])
    assert bed.receive("refused", token="t@3")["strerror"] == "Permission denied"
    bed.start("n1.nobody", "t@4", "")
    assert bed.receive("lost", token="t@4")["why"] == "its node is gone"


def test_the_own_cli_of_a_node(bed: HubBed) -> None:
    bed.node()
    bed.start(bed.live(), "t@1", "", argv=["", "--version"])
    bed.receive("ended")
    assert bed.stream("t@1") == "9.9.9\n"


def test_much_output_comes_whole(bed: HubBed) -> None:
    bed.node()
    script = "seq 400000; seq 300000 >&2"
    bed.start(bed.live(), "t@1", script)
    bed.receive("ended")
    assert bed.stream("t@1") == "".join(f"{n}\n" for n in range(1, 400_001))
    assert bed.stream("t@1", "err") == "".join(f"{n}\n" for n in range(1, 300_001))


def test_one_file_for_both_streams(bed: HubBed) -> None:
    bed.node()
    bed.start(bed.live(), "t@1", "echo a; echo b >&2; echo c", err=None)
    bed.receive("ended")
    assert bed.stream("t@1") == "a\nb\nc\n"


def test_stdin_stays_open_for_lines(bed: HubBed) -> None:
    bed.node()
    bed.start(bed.live(), "t@1", "while read a; do echo got $a; done", stdin="1\n", keep_stdin=True)
    bed.send("write", token="t@1", line="2\n")
    bed.send("write", token="t@1", line="3\n")
    bed.send("close_stdin", token="t@1")
    assert bed.receive("ended")["status"] == 0
    assert bed.stream("t@1") == "got 1\ngot 2\ngot 3\n"


def test_signals_and_trees(bed: HubBed) -> None:
    os.mkfifo(bed.folder / "never")
    bed.node()
    life = bed.live()
    bed.start(life, "t@1", "trap 'exit 7' USR1; echo up; while :; do sleep 0.05; done")
    bed.start(life, "t@2", "setsid sh -c 'echo $$; read line < never' & read line < never")
    child = "setsid sh -c 'echo $$ | tee child; read line < never'"
    bed.start(life, "t@3", f"{child} & until [ -s child ]; do sleep 0.01; done")
    for token in ("t@1", "t@2", "t@3"):
        bed.receive("started", token=token)
    bed.receive("ended", token="t@3")
    bed.send("sweep", tokens=["t@3"], conversations=[])
    while "up" not in bed.stream("t@1") or not bed.stream("t@2"):
        pass
    bed.send("signal", token="t@1", number=int(signal.SIGUSR1))
    assert os.waitstatus_to_exitcode(bed.receive("ended", token="t@1")["status"]) == 7
    bed.send("kill", token="t@2")
    assert bed.receive("ended", token="t@2")["status"] == signal.SIGKILL
    bed.start(life, "t@4", "exit 0")  # orders are carried out one after the other
    bed.receive("ended", token="t@4")
    assert [start_time(int(bed.stream(token))) for token in ("t@2", "t@3")] == [None, None]


def test_a_second_node_agent_by_the_same_name_does_nothing(bed: HubBed) -> None:
    bed.node()
    bed.live()
    second = bed.node()
    assert "another node agent already serves session s1 as n1" in second.farewell()
    assert second.process.returncode == 0
    bed.node(name="n2")
    assert bed.receive("node", state="live")["name"] == "n2"


def test_a_join_file_on_stdin(bed: HubBed) -> None:
    bed.node(join=bed.join.read_text())
    bed.live()


def test_a_node_agent_that_is_told_to_stop(bed: HubBed) -> None:
    agent = bed.node()
    bed.start(bed.live(), "t@1", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done")
    bed.receive("started")
    while not bed.stream("t@1"):
        pass
    agent.signal(signal.SIGTERM)
    bed.receive("node", state="leaving")
    end = bed.receive("ended", token="t@1")
    assert (os.waitstatus_to_exitcode(end["status"]), end["cause"]) == (5, "stop")
    bed.send("acked", token="t@1")
    bed.receive("node", state="left")
    assert agent.farewell() == "cpr agent: it was told to stop"
    assert agent.process.returncode == 0


def test_strangers_are_not_let_in(bed: HubBed) -> None:
    fields = json.loads(bed.join.read_text())
    public, secret = new_key_pair()
    wrong_client = {**fields, "client_key": public, "client_secret": secret}
    wrong_hub = {**fields, "hub_key": public}
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        for wrong in (wrong_client, wrong_hub):
            join = JoinFile(wrong)
            connection = Connection(context, join, f"127.0.0.1:{join.port}")
            connection.send({"type": "swept", "life": "n1"})
            assert not connection.finish(60_000)
            connection.close()
        plain = context.socket(zmq.DEALER)
        plain.connect(f"tcp://127.0.0.1:{fields['port']}")
        plain.send(b"{}")
        bed.node()  # a node with the right keys comes after it
        bed.live()
        assert not plain.poll(0)
    finally:
        context.destroy(0)
    assert [message["type"] for message in bed.seen] == ["ready", "node"]


def test_a_connection_that_has_broken_keeps_nobody_waiting(bed: HubBed) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    join = JoinFile(json.loads(bed.join.read_text()))
    connection = Connection(context, join, f"127.0.0.1:{join.port}")
    try:
        connection.socket.sndtimeo = 60_000  # so that this test can fail
        connection.send({"type": "swept", "life": "n1"})
        assert connection.finish(60_000)
        bed.kill_hub()
        assert connection.monitor.poll(60_000)
        connection.send({"type": "bye"})
        connection.flush()
        assert connection.is_broken()
    finally:
        connection.close()
        context.destroy(0)


def test_a_machine_without_setpriv_is_no_node(bed: HubBed) -> None:
    agent = bed.node(path=str(bed.folder))
    assert "it needs the program setpriv of util-linux" in agent.farewell()
    assert agent.process.returncode == 2
    assert bed.spools() == []


@pytest.mark.slow  # half a minute, in which nothing happens
def test_who_finds_no_hub_leaves_and_says_what_helps(bed: HubBed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    agent = bed.node(f"--address=127.0.0.1:{port}")
    words = agent.farewell()
    assert f"no hub answered within 30 s (127.0.0.1:{port}: Connection refused)" in words
    assert "--address HOST:PORT" in words
    assert agent.process.returncode == 1


def test_what_a_power_cut_has_left_goes_after_a_day(bed: HubBed) -> None:
    base = bed.folder / f"cpr-nodes-{os.geteuid()}"
    for name in ("old", "new", "mirrors"):
        (base / name).mkdir(parents=True)
        (base / name / "1.out").touch()
    for name in ("old", "new"):
        (base / name / "lock").touch()
    os.utime(base / "old" / "lock", (0, 0))
    bed.node()
    bed.live()
    assert {path.name for path in base.iterdir()} > {"new", "mirrors"}
    assert not (base / "old").exists()
    assert (base / "new" / "1.out").exists()


def test_bad_arguments(bed: HubBed) -> None:
    for options, words in [
        (["--slots=0"], "--slots: '0' is no number from 1"),
        (["--address=here"], "--address: 'here' is not HOST:PORT"),
        (["--what"], "unknown option --what"),
    ]:
        agent = bed.node(*options)
        assert words in agent.farewell()
        assert agent.process.returncode == 2


def test_nothing_is_left_of_a_session(bed: HubBed) -> None:
    agents = [bed.node(name=f"n{number}") for number in range(3)]
    for _ in agents:
        bed.live()
    twins = [agent.twin_pid for agent in agents]
    bed.end()
    for agent in agents:
        assert agent.farewell() == "cpr agent: the session is over"
    for pid in twins:
        while start_time(pid) is not None:
            pass
