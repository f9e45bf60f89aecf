"""Hosts on which the real CLI works through sessions of cpr: the first one has the runner."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from faults.judge import judge, judge_journal, read_log, wrapper
from faults.real import answer, bash, effect
from faults.table import CannotInjectError, Tally
from testkit import processes
from testkit.command import console_script, prompts, script
from testkit.hosts import Hosts, why_not
from testkit.repository import GIT_ENVIRONMENT

from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

LIMIT_S = 240.0  # Ends a row that hangs.
LEASE_S = 6
SLOTS = 2
RUNNER = "h1"
AGENT = "cpr_nb/nodes/__main__.py"
HUB = "cpr_nb/nodes/hub.py"
_WORK, _RESULTS, _HOME_JOIN = "/root/work", "/root/results", "/root/join.json"
_LIVE = ("running", "waiting", "paused")


def tasks_of(names: Sequence[str], steps: int) -> list[dict[str, Any]]:
    """Tasks, each of which does something once and then some small things."""
    small = bash("sleep 0.3")
    return [
        {"id": name, "prompt": script(effect(name), *[small] * steps, {"text": answer(name)})}
        for name in names
    ]


class Cluster:
    """A runner's host and some nodes; it exists inside of ``with``.

    Args:
        folder: Everything is in it.
        token: What marks all processes.
        claude: The real CLI.
        n_nodes: How many hosts beside the runner's.
        shared_home: Whether the hosts have one home, and so one work folder.
        visible: What they see beside Python, the project and the CLI.
        clock_shift_s: Host → by how much its clocks since the boot are ahead.
    """

    def __init__(
        self,
        folder: Path,
        token: str,
        claude: str,
        n_nodes: int = 3,
        *,
        shared_home: bool = True,
        visible: Sequence[Path] = (),
        clock_shift_s: dict[str, int] | None = None,
    ) -> None:
        if words := why_not():
            raise CannotInjectError(words)
        path = f"{Path(console_script()).parent}{os.pathsep}/usr/local/bin{os.pathsep}{os.defpath}"
        env = {
            **cli_environment("http://127.0.0.1:9", "/root", path=path),
            **GIT_ENVIRONMENT,
            processes.TOKEN: token,
            "CPR_CLAUDE": str(folder / "common" / "claude"),
            "CPR_RESULTS_DIR": _RESULTS,
        }
        self.folder, self.claude, self.shared_home = folder, claude, shared_home
        self.hosts = Hosts(
            folder,
            n_nodes + 1,
            env,
            [*visible, Path(claude).parent],
            shared_home=shared_home,
            clock_shift_s=clock_shift_s,
        )
        self.nodes = self.hosts.names[1:]
        self.started: list[subprocess.Popen[bytes]] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._bury)
            stack.enter_context(self.hosts)
            with self.hosts.network():
                self.api = ScriptedApi(log_path=self.folder / "api.jsonl")
            stack.enter_context(self.api)
            stack.callback(self._go_on)
            self.hosts.forward(self.api.port)
            self.hosts.env["ANTHROPIC_BASE_URL"] = self.api.url
            marking = self.hosts.common / "claude"
            marking.write_text(wrapper(self.claude))
            marking.chmod(0o755)
            self.hosts.boot()
            for name in self.hosts.names:
                self.path(_WORK, name).mkdir(exist_ok=True)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _bury(self) -> None:
        for process in self.started:
            process.wait()

    def _go_on(self) -> None:
        """nsenter stops with what it has started; a host can't end before nsenter buries that."""
        for process in self.started:
            process.send_signal(signal.SIGCONT)

    def path(self, path: str, host: str = RUNNER) -> Path:
        """A file of a host, seen from outside."""
        return self.hosts.path(host, path)

    # -- sessions -----------------------------------------------------------------------------

    def launch(self, names: Sequence[str], executor: str, *flags: str, steps: int = 8) -> Job:
        """Starts tasks, each of which does something once and then some small things."""
        words = ["--executor", executor, "--slots", str(SLOTS), "--lease-s", str(LEASE_S)]
        # As many as all nodes have slots: what a machine would carry is no matter here.
        words += ["-j", str(SLOTS * len(self.nodes)), "--permissions", "all", *flags]
        text = self.cpr("run", "--json", *words, stdin=prompts(*tasks_of(names, steps)))
        return Job(self, Path(json.loads(text)["path"]), list(names))

    def cpr(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """What the command says on the runner's host."""
        argv = ["sh", "-c", f'cd {_WORK} && exec cpr "$@"', "cpr", *words]
        done = self.hosts.run(RUNNER, *argv, stdin=stdin, check=check)
        return done.stdout

    def start_agent(self, host: str, job: Job, *flags: str) -> None:
        """Starts a node agent on a host, as a person does who has copied the join file there."""
        keys = self.path(str(job.inside / "join.json")).read_text()
        join = self.path(_HOME_JOIN, host)
        join.touch(0o600)
        join.write_text(keys)
        words = ["agent", _HOME_JOIN, "--slots", str(SLOTS), *flags]
        log = self.folder / f"agent-{host}.log"
        self.started.append(self.hosts.start(host, "cpr", *words, log=log))

    # -- processes ----------------------------------------------------------------------------

    def agent(self, host: str) -> int:
        """The node agent of a host."""
        (pid,) = (pid for pid in self._family(host) if _parent(pid) not in self._family(host))
        return pid

    def twin(self, host: str) -> int:
        """The twin of the node agent of a host."""
        (pid,) = (pid for pid in self._family(host) if _parent(pid) in self._family(host))
        return pid

    def _family(self, host: str) -> list[int]:
        return self.hosts.pids(host, AGENT)

    def kill(self, host: str, words: str) -> None:
        """Kills (SIGKILL) the processes of a host whose command line has these words."""
        pids = self.hosts.pids(host, words)
        assert pids, f"nothing on {host} is {words}"
        for pid in pids:
            processes.end(pid)

    def kill_one(self, host: str, words: str) -> None:
        """Kills (SIGKILL) the first of them only."""
        processes.end(self.hosts.pids(host, words)[0])

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Sends a signal to a process."""
        os.kill(pid, number)

    # -- what became of it --------------------------------------------------------------------

    def effects(self) -> Counter[str]:
        """How often each task has done what it does, on whatever host."""
        folders = {self.path(_WORK, name) for name in self.hosts.names}
        found: Counter[str] = Counter()
        for folder in folders:
            for file in folder.glob("ran-*"):
                found[file.name.removeprefix("ran-")] += len(file.read_text().splitlines())
        return found


class Job:
    """One session on a cluster, read from outside without the package.

    Args:
        cluster: Where it runs.
        inside: Its folder, as its runner sees it.
        names: The ids of its tasks.
    """

    def __init__(self, cluster: Cluster, inside: Path, names: list[str]) -> None:
        self.cluster, self.inside, self.names = cluster, inside, names
        self.folder = cluster.path(str(inside))

    @property
    def status(self) -> dict[str, Any]:
        """Its status.json."""
        status: dict[str, Any] = json.loads((self.folder / "status.json").read_bytes())
        return status

    def journal(self, *events: str) -> list[dict[str, Any]]:
        """The lines of its journal, of these events only if any are named."""
        lines = read_log(self.folder / "journal.jsonl")
        return [line for line in lines if not events or line["event"] in events]

    def wait_for(self, what: str, condition: Callable[[], Any]) -> Any:
        """Waits until it is true, and returns it."""
        end = time.monotonic() + LIMIT_S
        while not (found := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} in {LIMIT_S:g} s: {self._words()}")
            time.sleep(0.05)
        return found

    def _words(self) -> str:
        last = [line["event"] for line in self.journal()[-12:]]
        logs = sorted(self.cluster.folder.glob("agent-*.log"))
        agents = [log.read_text()[-200:] for log in logs]
        status = self.status
        return f"{status.get('notice')}, {status.get('nodes')}, events {last}, agents {agents}"

    def await_nodes(self, n: int) -> None:
        """Waits until so many nodes are live."""
        self.wait_for(f"{n} nodes", lambda: self.n_nodes("live") == n)

    def n_nodes(self, state: str) -> int:
        """How many of its nodes are in a state."""
        return sum(node["state"] == state for node in self.status.get("nodes", ()))

    def await_requests(self, n: int) -> None:
        """Waits until the API has seen so many requests of its tasks."""
        self.cluster.api.wait_for(lambda record: record.seq >= n, LIMIT_S)

    def await_end(self) -> None:
        """Waits until it has ended and its runner is gone."""
        self.wait_for("end", lambda: self.has_ended)
        processes.await_lock(self.folder / "runner.lock")

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.status["overall_status"] not in _LIVE

    @property
    def waits_for_nodes(self) -> bool:
        """Whether tasks wait, and no node takes them."""
        return bool(self.status.get("waiting_for") == "nodes")

    def resume(self) -> None:
        """Resumes it on the runner's host."""
        self.cluster.cpr("resume", self.inside.name.removeprefix("session-"))

    def add_nodes(self, *words: str) -> None:
        """Has an engine place more node agents for it."""
        self.cluster.cpr("nodes", "add", self.inside.name.removeprefix("session-"), *words)

    def tally(self, how: str, n_fewest: int, *, disks_lost: bool = False, n_late: int = 0) -> Tally:
        """What became of it.

        Args:
            how: What brought the tasks through.
            n_fewest: With how many attempts the journal must show that the fault was one.
            disks_lost: Whether what a task did and paid for may be lost with a node's disk.
            n_late: How many signs a life may give after the next one of its task has begun.
        """
        cluster, tasks = (
            self.cluster,
            {task["transaction_id"]: task for task in self.status["tasks"]},
        )
        tally, ran = Tally(how, injected=1, tasks=len(self.names)), cluster.effects()
        for name in self.names:
            task, text = tasks.get(name, {}), self.folder / f"task-{name}.txt"
            good = text.is_file() and text.read_text() == f"{answer(name)}\n"
            if task.get("outcome") != "succeeded" or not good:
                tally.lost += 1
                end = [task.get(key) for key in ("outcome", "reason", "error")]
                tally.wrong.append(f"{name} ended as {end}, answered: {good}")
            if ran[name] != 1 and not (disks_lost and ran[name]):
                tally.twice += ran[name] > 1
                tally.wrong.append(f"{name} ran {ran[name]} times")
        faults = judge(read_log(cluster.folder / "api.jsonl"), disks_lost=disks_lost)
        faults = [words for words in faults if _n_signs(words) > n_late]
        faults += judge_journal(self.journal())
        tally.twice += len(faults)
        tally.wrong += faults
        n_attempts = len(self.journal("intent"))
        tally.expect(n_attempts >= n_fewest, f"only {n_attempts} attempts: nothing was lost")
        counted = [line for line in self.journal("attempt_ended") if line["counted"]]
        tally.expect(not counted, f"counted: {[(e['task_id'], e['error']) for e in counted]}")
        left = [pid for host in cluster.hosts.names for pid in self._left(host)]
        tally.expect(not left, f"left behind: {left}")
        tally.how = f"{how} ({n_attempts} attempts of {len(self.names)})"
        return tally

    def _left(self, host: str) -> list[str]:
        """What still runs on a host for this session, once its node agents had time to leave."""
        with contextlib.suppress(KeyError):  # it is off
            self.wait_for(
                f"end of all on {host}",
                lambda: not any(self.cluster.hosts.pids(host, words) for words in (AGENT, HUB)),
            )
            return [f"{host}: {pid}" for pid in self.cluster.hosts.pids(host, self.cluster.claude)]
        return []


def _n_signs(words: str) -> float:
    """Of how many signs of two at work the judge tells; infinitely many of any other fault."""
    found = re.search(r"twice at work: (\d+) signs", words)
    return int(found[1]) if found else math.inf


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
