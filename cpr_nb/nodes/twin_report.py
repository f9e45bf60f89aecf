"""What a twin says to the hub once its node agent has died: nothing of that life runs any more."""

from __future__ import annotations

import zmq

from cpr_nb.nodes.join_file import JoinFileError
from cpr_nb.nodes.timing import LeaseTimes, boot_clock_s
from cpr_nb.nodes.wire import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.nodes.join_source import JoinSource

_ANSWER_MS = 2000
_PAUSE_MS = 500


def report_sweep(source: JoinSource, address: str, life: str, times: LeaseTimes) -> None:
    """Tells the hub, until it answers or would know it by the lease's end.

    Args:
        source: The join file.
        address: Where the hub is; empty: where the join file says.
        life: The node agent's life.
        times: The times of a lease.
    """
    context = zmq.Context()
    until = boot_clock_s() + times.over_s
    while boot_clock_s() < until:
        try:
            join = source.read()
        except JoinFileError:  # the session has ended
            return
        addresses = [address] if address else [f"{host}:{join.port}" for host in join.addresses]
        if any(_is_noted(Connection(context, join, at), life) for at in addresses):
            return
        zmq.Poller().poll(_PAUSE_MS)


def _is_noted(connection: Connection, life: str) -> bool:
    try:
        connection.send({"type": "swept", "life": life})
        return connection.finish(_ANSWER_MS)
    finally:
        connection.close()
