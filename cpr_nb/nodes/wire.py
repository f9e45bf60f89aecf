"""The wire between the hub and node agents: ZeroMQ, encrypted and authenticated by CURVE keys.

A message is a header (a JSON object) and perhaps bytes. TLS of the standard library needs as much
memory (measured: 15 MB, and 33 ms at the start instead of 55), but ZeroMQ brings keys without
certificates, framing, and a queue per peer, which would be ours to write.
"""

from __future__ import annotations

import json
from contextlib import suppress

import zmq
from zmq.utils import z85

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.nodes.join_file import JoinFile

    Message = tuple[dict[str, Any], bytes]

#: Both sides must speak the same: a node agent of another one is refused.
PROTOCOL = 1
_ZAP_ADDRESS = "inproc://zeromq.zap.01"
_BROKEN = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_CONNECT_MS = 5000
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def new_key_pair() -> tuple[str, str]:
    """A public key and its secret one, as text."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def packed(messages: list[Message]) -> list[bytes]:
    """The frames of messages that are sent at once: every frame costs as much as a short message.

    Args:
        messages: The header of each, and its bytes.

    Example:
        >>> packed([({"type": "stream"}, b"x"), ({"type": "beat"}, b"")])
        [b'[[{"type":"stream"},1],[{"type":"beat"},0]]', b'x']
    """
    headers = _encode([[header, len(data)] for header, data in messages])
    data_frames = [data for _, data in messages if data]
    return [headers.encode("utf-8", "surrogatepass"), *data_frames]


def unpacked(frames: list[bytes]) -> list[Message]:
    """The messages of `packed`, in their order.

    Raises:
        ValueError: If they are none of ours.

    Example:
        >>> unpacked(packed([({"type": "stream"}, b"x"), ({"type": "beat"}, b"")]))
        [({'type': 'stream'}, b'x'), ({'type': 'beat'}, b'')]
    """
    headers, data_frames = json.loads(frames[0].decode("utf-8", "surrogatepass")), iter(frames[1:])
    return [(header, next(data_frames) if n_bytes else b"") for header, n_bytes in headers]


class Gate:
    """Decides who may connect to the hub: who has the session's client key, and nobody else.

    Args:
        context: The context of the sockets that it guards.
        client_key: The one public key that is let in.
    """

    def __init__(self, context: zmq.Context[Any], client_key: str) -> None:
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(_ZAP_ADDRESS)
        self._client_key = z85.decode(client_key)

    def answer(self) -> None:
        """Answers one question of ZeroMQ (its protocol ZAP, RFC 27)."""
        version, number, _domain, _address, _identity, mechanism, *keys = (
            self.socket.recv_multipart()
        )
        allowed = mechanism == b"CURVE" and keys == [self._client_key]
        code, words = (b"200", b"OK") if allowed else (b"400", b"no key of this session")
        self.socket.send_multipart([version, number, code, words, b"", b""])


def listen(context: zmq.Context[Any], secret: str, port: int) -> tuple[zmq.Socket[Any], int]:
    """Opens the hub's socket; `Gate` must be there already.

    Args:
        context: The context.
        secret: The hub's secret key.
        port: The port to use again if it is free; 0: any.

    Returns:
        The socket and its port.

    Raises:
        zmq.ZMQError: If there is no port.
    """
    socket = context.socket(zmq.ROUTER)
    socket.curve_server = True
    socket.curve_secretkey = secret.encode()
    socket.zap_domain = b"cpr"
    socket.sndhwm = socket.rcvhwm = 0
    socket.linger = 1000
    try:
        socket.bind(f"tcp://*:{port or '*'}")
    except zmq.ZMQError:
        if not port:
            raise
        socket.bind("tcp://*:*")
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)  # noqa: S101 - for mypy
    return socket, int(endpoint.rstrip(b"\0").rpartition(b":")[2])


class Connection:
    """One connection of a node agent to a hub; when it breaks, the node agent makes a new one.

    ZeroMQ would connect again by itself, and not say what was lost between.

    Args:
        context: The context.
        join: The session's join file.
        address: The hub's host, and perhaps ``:PORT``.
    """

    def __init__(self, context: zmq.Context[Any], join: JoinFile, address: str) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.curve_serverkey = join.hub_key.encode()
        self.socket.curve_publickey = join.client_key.encode()
        self.socket.curve_secretkey = join.client_secret.encode()
        self.socket.reconnect_ivl = -1
        self.socket.connect_timeout = _CONNECT_MS
        self.socket.sndhwm = self.socket.rcvhwm = 0
        self.socket.linger = 0
        self.monitor = self.socket.get_monitor_socket(_BROKEN)
        self.socket.connect(f"tcp://{address}")
        self._unsent: list[Message] = []

    def send(self, header: dict[str, Any], data: bytes = b"") -> None:
        """Sends a message with the next `flush`; it is lost if the connection breaks."""
        self._unsent.append((header, data))

    def flush(self) -> None:
        """Sends what there is to say, and never waits.

        Once the connection has broken, ZeroMQ has no peer for this socket. It would then wait for
        one for ever, and the node agent with it, since it makes no new peer by itself.
        """
        unsent, self._unsent = self._unsent, []
        if unsent:
            with suppress(zmq.Again):  # it broke in this moment: `is_broken` says so next
                self.socket.send_multipart(packed(unsent), zmq.NOBLOCK)

    def receive(self) -> list[Message]:
        """The next messages that have arrived; empty if there are none."""
        try:
            return unpacked(self.socket.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            return []

    def is_broken(self) -> bool:
        """Whether it can't be used any more."""
        try:
            self.monitor.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def finish(self, wait_ms: int) -> bool:
        """Sends what there is to say, the last of it something that the hub notes.

        Args:
            wait_ms: How long to wait for that.

        Returns:
            Whether the hub has noted it.
        """
        self.flush()
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.monitor, zmq.POLLIN)
        while poller.poll(wait_ms) and not self.is_broken():
            if any(header["type"] == "noted" for header, _ in self.receive()):
                return True
        return False

    def close(self) -> None:
        """Closes it."""
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(0)
