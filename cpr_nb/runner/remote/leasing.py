"""Starts what is ordered on nodes, each with a lease, and hears what becomes of it."""

from __future__ import annotations

import errno
import os
import time

from cpr_nb.model import states
from cpr_nb.model.machine_causes import NO_NODE, NODES, MachineCause
from cpr_nb.model.random_ids import new_uuid
from cpr_nb.runner.leftovers import SWEEP_EVERY_S
from cpr_nb.runner.niceness import DEFAULT_NICE
from cpr_nb.runner.remote.belongings import REPOSITORY, Carried
from cpr_nb.runner.remote.hub_pipe import HubPipe
from cpr_nb.runner.remote.node import Node
from cpr_nb.runner.remote.pending_jobs import cancel_pending_jobs
from cpr_nb.runner.remote.placement import best_node, n_slots, usable_nodes
from cpr_nb.runner.remote.probes import Probes
from cpr_nb.runner.remote.remote_process import RemoteProcess, RemoteStdin
from cpr_nb.runner.spawning import NoNodeError, create

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cpr_nb.runner.lease import Lease
    from cpr_nb.runner.order import Order
    from cpr_nb.runner.recorder import Recorder

#: A hub that ends so often before it is ready will never be.
_N_HUBS = 3
#: How long nodes may take to say good-bye at the session's end.
_GOODBYE_S = 5.0
_POLL_S = 0.01


class Cluster:
    """The nodes of a session.

    Args:
        session: What session.json says of the session as a whole.
        recorder: Writes down what is leased, and what the nodes are.
        join_path: The file by which node agents join.
        rival_path: The claim by which another runner takes the session over.
        library_dirs: The folders in which Python has installed libraries.

    Attributes:
        leases: What runs, or is to be heard of: token → its process.
    """

    def __init__(
        self,
        session: dict[str, Any],
        recorder: Recorder,
        join_path: str,
        rival_path: str,
        library_dirs: Sequence[str],
    ) -> None:
        nice = session["options"].get("nice")
        self._nice = DEFAULT_NICE if nice is None else nice
        self._session = session
        self._recorder = recorder
        self._join_path, self._rival_path = join_path, rival_path
        self._library_dirs = library_dirs
        self._probes = Probes(session["session_id"], session["cwd"])
        self._hub: HubPipe | None = None
        self._n_hubs = 0  # since one was ready
        self._lost_after_s: float | None = None
        self._nodes: dict[str, Node] = {}
        self.leases: dict[str, RemoteProcess] = {}
        self._paths: dict[str, tuple[str, str]] = {}
        self._awaited: set[str] = set()
        self._news: list[dict[str, Any]] = []
        self._unsorted: list[dict[str, Any]] = []
        self._to_close: list[str] = []
        self._to_sweep: list[tuple[str, str]] = []
        self._next_sweep_at = 0.0
        self._is_changed = True

    # -- orders -----------------------------------------------------------------------------

    def start(self, order: Order) -> RemoteProcess:
        """Leases a process to a node, and orders its start: what becomes of it is heard later.

        Raises:
            NoNodeError: If no node can take it now.
            OSError: If its files can't be created, or nothing can be journalled.
        """
        node = best_node(self._nodes.values())
        if node is None or self._hub is None:
            raise NoNodeError(MachineCause(NODES, "", NO_NODE))
        for path in filter(None, (order.out, order.err)):
            os.close(create(path))
        carried = order.belongings.on(node, order.out) if order.belongings is not None else None
        if carried is not None:
            carried.begin()
        names = {"token": order.token, "node": node.name, "life": node.life, "kind": order.kind}
        home = {"home": carried.record} if carried is not None else {}
        self._recorder.journal("lease", **order.names, **names, **home)
        if self._recorder.trouble:  # after a crash nothing would show where it runs
            raise OSError(errno.EIO, self._recorder.trouble, order.out)
        process = RemoteProcess(
            self,
            order.token,
            node.life,
            node.name,
            program=order.argv[0] if order.kind == "check" else node.claude_path,
            folder=order.folder,
            stdin=RemoteStdin(self, order.token) if order.stdin is None else None,
        )
        process.carried = carried
        self._lease(process, node, order.out, order.err)
        self.send("start", **{**self._message(order, node), **_carried(carried)})
        return process

    def _message(self, order: Order, node: Node) -> dict[str, Any]:
        argv = order.argv if order.kind == "check" else ["", *order.argv[1:]]  # its own CLI
        return {
            "token": order.token,
            "life": node.life,
            "kind": order.kind,
            "argv": argv,
            "cwd": order.folder,
            "env": {os.fsdecode(k): os.fsdecode(v) for k, v in order.environment.items()},
            "stdin": order.stdin,
            "keep_stdin": order.stdin is None,
            "out": order.out,
            "err": order.err or None,
            "nice": self._nice,
            "folder_must_exist": True,
            **({"fourth": _base64(order.socket_program)} if order.socket_program else {}),
        }

    def adopt(self, lease: Lease, out: str, err: str, config_folder: str) -> RemoteProcess:
        """Goes on with a lease that an earlier runner gave; its process gets no more messages.

        Args:
            lease: The lease.
            out: The file of the process's output.
            err: The file of its errors.
            config_folder: The folder of the CLI's own configuration here.
        """
        node = self._nodes.get(lease.life)
        if node is None:
            fields = {"life": lease.life, "name": lease.node, "state": states.SILENT}
            node = self._nodes[lease.life] = Node(fields)
        process = RemoteProcess(self, lease.token, lease.life, lease.node)
        process.carried = Carried.of_lease(lease, out, config_folder)
        if process.carried is not None:
            process.carried.go_on()
        self._awaited.add(lease.token)
        self._to_close.append(lease.token)
        self._lease(process, node, out, err)
        return process

    def _lease(self, process: RemoteProcess, node: Node, out: str, err: str) -> None:
        self.leases[process.token] = process
        self._paths[process.token] = out, err
        node.tokens.add(process.token)
        self._is_changed = True

    def send(self, kind: str, /, **fields: Any) -> None:
        """Sends a message to the hub."""
        if self._hub is not None:
            self._hub.send(kind, **fields)

    def refuse_login(self, life: str) -> bool:
        """The API refused a login; returns whether tasks can go to nodes that have another one."""
        node = self._nodes[life]
        has_others = any(other is not node for other in usable_nodes(self._nodes.values()))
        if has_others and not node.is_logged_out:
            node.refuse_login()
            fields = {"name": node.name, "life": node.life}
            self._recorder.journal("node", state=states.NO_LOGIN, **fields)
            self._is_changed = True
        return has_others

    def sweep_soon(self, token: str, conversation_id: str = "") -> None:
        """Has what a process, or one conversation of it, left behind ended at the next sweep."""
        self._to_sweep.append((token, conversation_id))

    def release(self, token: str) -> RemoteProcess | None:
        """Nothing runs for a token any more; returns what ran."""
        process = self.leases.pop(token, None)
        if process is not None:
            process.has_ended = True
            self._paths.pop(token)
            self._awaited.discard(token)
            self._nodes[process.life].tokens.discard(token)
            self._is_changed = True
        return process

    def mark_of_check(self) -> str:
        """What tells one run of a check from another: the first may still run on a lost node."""
        return f"-{new_uuid()[:8]}"

    # -- what is heard ----------------------------------------------------------------------

    @property
    def fd(self) -> int:
        """The descriptor on which the hub's messages come; -1 if there is no hub."""
        return self._hub.fd if self._hub is not None else -1

    @property
    def has_unsent(self) -> bool:
        """Whether the hub has not read all yet."""
        return self._hub is not None and self._hub.has_unsent

    @property
    def has_repository(self) -> bool:
        """Whether a node sees the session's repository: then work begins in its worktrees here."""
        return any(node.sees(REPOSITORY) for node in self._nodes.values() if not node.is_gone)

    @property
    def n_slots(self) -> int:
        """How many tasks may be at work at once."""
        return n_slots(self._nodes.values())

    def open(self) -> None:
        """Starts a hub, which goes on with the leases that there are.

        Raises:
            OSError: If it can't be started.
        """
        self._n_hubs += 1
        self._hub = HubPipe(self._library_dirs)
        cluster = self._session["cluster"]
        leases = [
            {
                "token": token,
                "life": process.life,
                "out": out,
                "err": err or None,
                "home": process.carried and process.carried.spool,
            }
            for token, process in self.leases.items()
            for out, err in [self._paths[token]]
        ]
        self.send(
            "open",
            session_id=self._session["session_id"],
            folder=".",
            join_path=self._join_path,
            rival_path=self._rival_path,
            lease_s=cluster["lease_s"],
            executor_name=self._session["executor"],
            leases=leases,
            probes=self._probes.place(),
        )
        for token in self._to_close:
            self.send("close_stdin", token=token)
        self._to_close = []

    def receive(self, now: float) -> list[dict[str, Any]]:
        """What was heard of processes since.

        Raises:
            RuntimeError: If there is no hub, and never will be.
        """
        if self._hub is None:
            return []
        self._hub.flush()
        messages, self._unsorted = [*self._unsorted, *self._hub.receive()], []
        for message in messages:
            self._sort_message(message)
        if not self._hub.is_open:
            self._replace_hub()
        self._sweep_in_time(now)
        if self._is_changed:
            self._show()
        news, self._news = self._news, []
        return news

    def _sort_message(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "node":
            self._update_node(message)
        elif kind == "ready":
            self._n_hubs, self._lost_after_s = 0, message.get("lost_after_s")
        elif kind == "failed":
            raise RuntimeError(message["why"])
        elif kind == "busy" and message["token"] in self.leases:
            self.leases[message["token"]].busy = message["cpu_s"], message["rss_bytes"]
        else:
            self._news.append(message)

    def _update_node(self, message: dict[str, Any]) -> None:
        node = self._nodes.get(message["life"])
        is_news = node is None or node.update(message)
        if node is None:
            node = self._nodes[message["life"]] = Node(message)
        if is_news:
            fields = {"name": node.name, "life": node.life, "why": node.why or None}
            self._recorder.journal(_EVENTS.get(node.state, "node"), state=node.state, **fields)
        for token in self._awaited.intersection(message.get("runs", ())):
            self._awaited.discard(token)
            self._news.append({"type": "adopted", "token": token})
        self._is_changed = True

    def _replace_hub(self) -> None:
        """Starts another hub if one has ended by itself."""
        if self._hub is not None:
            self._hub.close()
        if self._n_hubs >= _N_HUBS:
            raise RuntimeError("the hub, which talks to the nodes, ends again and again")
        for node in self._nodes.values():
            if not node.is_gone:
                node.update({"state": states.SILENT})
        self._awaited |= set(self.leases)
        self.open()

    def _sweep_in_time(self, now: float) -> None:
        if self._to_sweep and now >= self._next_sweep_at:
            self._next_sweep_at = now + SWEEP_EVERY_S
            self.sweep()

    def sweep(self) -> None:
        """Ends what processes have left behind."""
        if self._to_sweep:
            tokens = [token for token, conversation_id in self._to_sweep if not conversation_id]
            conversations = [pair for pair in self._to_sweep if pair[1]]
            self.send("sweep", tokens=tokens, conversations=conversations)
            self._to_sweep = []

    def _show(self) -> None:
        """Shows the nodes in status.json: one entry a name, of the newest life."""
        self._is_changed = False
        by_name = {node.name: node for node in self._nodes.values()}
        self._recorder.show(nodes=[node.fields(self._lost_after_s) for node in by_name.values()])

    # -- ends -------------------------------------------------------------------------------

    def journal_end(self, process: RemoteProcess, message: dict[str, Any]) -> None:
        """Journals that nothing runs for a lease any more, as the hub has said."""
        names = {"token": process.token, "node": process.node}
        if message["type"] == "lost":
            self._recorder.journal("remote_lost", **names, why=message["why"])
        else:
            end = {"status": message["status"], "cause": message["cause"] or None}
            self._recorder.journal("remote_ended", **names, **end)

    def await_end(self, process: RemoteProcess, patience_s: float) -> None:
        """Waits until a process has ended, and kills it if it takes too long."""
        kill_at = time.monotonic() + patience_s
        give_up_at = kill_at + patience_s
        while self._hub is not None and self._hub.is_open and time.monotonic() < give_up_at:
            self._unsorted += self._hub.receive()  # in the middle of a turn, no node changes
            ends = [news for news in self._unsorted if news["type"] in ("ended", "lost")]
            its = [news for news in ends if news["token"] == process.token]
            if its:
                self.journal_end(process, its[0])
                break
            if time.monotonic() >= kill_at:
                process.kill_tree()
                kill_at = give_up_at
            time.sleep(_POLL_S)
        self.release(process.token)

    def leave(self) -> None:
        """The session is over: its nodes are shown as left."""
        for node in self._nodes.values():
            node.left()
        self._show()

    def close(self, *, for_good: bool) -> None:
        """Has nothing more to do with the nodes.

        Args:
            for_good: Whether the session has ended: then the node agents leave.
        """
        if self._hub is not None:
            self.sweep()
            if for_good:
                cancel_pending_jobs(self._session)
                self.send("end")
                self._hub.await_end(_GOODBYE_S)
            else:
                self._hub.flush()
            self._hub.close()
            self._hub = None
        self._probes.remove()


_EVENTS = {states.SILENT: "node_silent", states.LOST: "node_lost"}


def _carried(carried: Carried | None) -> dict[str, Any]:
    """What the order of a start says of what goes along with the process."""
    return {} if carried is None else {**carried.fields, "home": carried.spool}


def _base64(data: bytes) -> str:
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode()
