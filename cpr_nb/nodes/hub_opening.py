"""Opens a hub: its socket and keys, and the join file that lets node agents find it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

import zmq

from cpr_nb.nodes.join_file import JoinFile, write_private
from cpr_nb.nodes.wire import Gate, listen, new_key_pair
from cpr_nb.store.files import read_json
from cpr_nb.store.layout import SessionPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIOCGIFADDR = 0x8915  # Linux: the IPv4 address of an interface


class OpenHub:
    """The sockets of a hub, and what it has written for node agents.

    A hub that goes on for an earlier one has its keys, and its port if that is free: node agents
    that got their join file on stdin can't read it again.

    Args:
        opening: What the runner says first.

    Attributes:
        router: The socket that node agents connect to.
        gate: Who decides which of them may.
        join: What they need.

    Raises:
        zmq.ZMQError: If there is no port.
        OSError: If the files can't be written.
    """

    def __init__(self, opening: dict[str, Any]) -> None:
        self._join_path: str = opening["join_path"]
        self._key_path = SessionPaths(os.path.dirname(self._join_path) or ".").hub_key
        keys = self._keys()
        self._context: zmq.Context[Any] = zmq.Context()
        self.gate = Gate(self._context, keys["client_key"])
        self.router, port = listen(self._context, keys["hub_secret"], keys["port"])
        write_private(self._key_path, {**keys, "port": port})
        self.join = JoinFile(
            {
                "session_id": opening["session_id"],
                "addresses": own_addresses(),
                "port": port,
                "hub_key": keys["hub_key"],
                "client_key": keys["client_key"],
                "client_secret": keys["client_secret"],
                "lease_s": opening["lease_s"],
                "probes": opening.get("probes", []),
            }
        )
        self.join.write(self._join_path)

    def _keys(self) -> dict[str, Any]:
        earlier = read_json(self._key_path)
        names = ("hub_key", "hub_secret", "client_key", "client_secret")
        if all(isinstance(earlier.get(name), str) for name in names):
            return earlier
        (hub_key, hub_secret), (client_key, client_secret) = new_key_pair(), new_key_pair()
        return {
            "hub_key": hub_key,
            "hub_secret": hub_secret,
            "client_key": client_key,
            "client_secret": client_secret,
            "port": 0,
        }

    def close(self, *, for_good: bool) -> None:
        """Closes the sockets.

        Args:
            for_good: Whether the session has ended, so that nobody may join it any more.
        """
        if for_good:
            for path in (self._join_path, self._key_path):
                try:
                    os.unlink(path)
                except OSError:
                    pass
        self.gate.socket.close()
        self.router.close()
        self._context.term()


def own_addresses() -> list[str]:
    """The addresses by which node agents may reach this machine; loopback last.

    Example:
        >>> own_addresses()[-1]
        '127.0.0.1'
    """
    addresses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                reply = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:  # it has none; or this is no Linux
                continue
            addresses.append(socket.inet_ntoa(reply[20:24]))
    outside = [address for address in addresses if not address.startswith("127.")]
    return [*dict.fromkeys(outside), socket.gethostname(), "127.0.0.1"]
