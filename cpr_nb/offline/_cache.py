"""A simulation of prompt caching: which part of a request the API has seen already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cpr_nb.offline._script import Json

#: How many blocks up to a breakpoint the API compares with what it has, that one included.
LOOKBACK_BLOCKS = 20
_LIVES_S = {"5m": 300.0, "1h": 3600.0}
# How the CLI's first system block begins: its version with a fingerprint of the prompt. It is said
# that Anthropic's own API leaves it out of the prefix; that could not be checked here.
_BILLING = "x-anthropic-billing-header:"


class CacheUse(NamedTuple):
    """What the requests that were answered made of the prefix cache.

    Attributes:
        n_anew: Requests that found nothing and wrote their whole prefix.
        n_reads: Requests that found at least a part of theirs.
        read_tokens: What all requests read, in tokens.
        write_tokens: What all requests wrote, in tokens.

    Example:
        >>> CacheUse(n_anew=1, n_reads=39, read_tokens=390_000, write_tokens=10_000).n_reads
        39
    """

    n_anew: int
    n_reads: int
    read_tokens: int
    write_tokens: int


class Prefix(NamedTuple):
    """A request up to the end of one of its blocks; it lives 0 s if that is no breakpoint."""

    key: bytes
    tokens: int
    lives_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """What one request finds in the cache, and what it adds once its answer begins."""

    read_tokens: int = 0
    write_tokens: int = 0
    added: tuple[Prefix, ...] = ()

    @property
    def usage(self) -> Json:
        """How an answer tells it."""
        return {
            "cache_creation_input_tokens": self.write_tokens,
            "cache_read_input_tokens": self.read_tokens,
        }


def _blocks(request: Mapping[str, Any], billing_line: bool) -> Iterator[tuple[str, Json]]:
    """Yield every block with its place, in the order in which the API puts them together."""
    for tool in request.get("tools", ()):
        yield "tool", tool
    for block in _content(request.get("system")):
        if billing_line or not str(block.get("text")).startswith(_BILLING):
            yield "system", block
    for message in request.get("messages", ()):
        for number, block in enumerate(_content(message.get("content"))):
            yield f"{message.get('role')} {'goes on' if number else 'begins'}", block


def _content(content: Any) -> list[Json]:
    if isinstance(content, str) and content:
        return [{"type": "text", "text": content}]
    return [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []


def prefixes_of(request: Mapping[str, Any], billing_line: bool = True) -> list[Prefix]:
    """Return all prefixes of a request, the shortest first.

    The mark of a breakpoint is no part of a prefix: it moves on with every turn, and the turn
    before must still be found. How to think and which tool to choose is a part of the messages.

    Example:
        >>> request = {"system": [{"type": "text", "text": "x", "cache_control": {}}]}
        >>> [(prefix.tokens, prefix.lives_s) for prefix in prefixes_of(request)]
        [(7, 300.0)]
    """
    prefixes: list[Prefix] = []
    digest, n_bytes, in_messages = hashlib.sha256(), 0, False
    digest.update(json.dumps(request.get("model")).encode())
    for place, block in _blocks(request, billing_line):
        if not in_messages and place not in ("tool", "system"):
            in_messages = True
            ways = [request.get("thinking"), request.get("tool_choice")]
            digest.update(json.dumps(ways, sort_keys=True).encode())
        bare = {key: value for key, value in block.items() if key != "cache_control"}
        data = json.dumps(bare, sort_keys=True).encode()
        digest.update(f"\n{place} {len(data)} ".encode() + data)
        n_bytes += len(data)
        prefixes.append(Prefix(digest.digest(), n_bytes // 4, _lives_s(block.get("cache_control"))))
    if prefixes and request.get("cache_control") is not None:  # That marks the last block.
        prefixes[-1] = prefixes[-1]._replace(lives_s=_lives_s(request["cache_control"]))
    return prefixes


def _lives_s(mark: Any) -> float:
    if mark is None:
        return 0.0
    ttl = mark.get("ttl") if isinstance(mark, dict) else None
    return _LIVES_S.get(str(ttl), _LIVES_S["5m"])


class PrefixCache:
    """What the API has cached; its caller sees to it that only one thread is in here.

    Args:
        clock: The time in seconds; it never goes back.

    Example:
        >>> cache = PrefixCache(lambda: 0.0)
        >>> request = {"system": "x" * 400, "cache_control": {"type": "ephemeral"}}
        >>> first = cache.look_up(prefixes_of(request))
        >>> cache.add(first)
        >>> second = cache.look_up(prefixes_of(request))
        >>> (first.write_tokens, second.write_tokens, second.read_tokens)
        (107, 0, 107)
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[bytes, tuple[float, float]] = {}  # → (how long it lives, until when)

    def look_up(self, prefixes: list[Prefix]) -> Found:
        """Return the longest prefix that is there, and let it live on."""
        now = self._clock()
        self._entries = {key: entry for key, entry in self._entries.items() if entry[1] > now}
        marked = [at for at, prefix in enumerate(prefixes) if prefix.lives_s]
        if not marked:
            return Found()
        looked = {back for at in marked for back in range(max(0, at - LOOKBACK_BLOCKS + 1), at + 1)}
        hits = [at for at in looked if prefixes[at].key in self._entries]
        longest = max(hits, default=-1)
        for at in hits:  # Who reads the longest reads what it begins with, too.
            lives_s, _ = self._entries[prefixes[at].key]
            self._entries[prefixes[at].key] = (lives_s, now + lives_s)
        read = prefixes[longest].tokens if hits else 0
        added = tuple(prefixes[at] for at in marked if prefixes[at].key not in self._entries)
        return Found(read, max(0, prefixes[marked[-1]].tokens - read), added)

    def add(self, found: Found) -> None:
        """Keep what a request writes; call it when its answer begins, for no one reads earlier."""
        now = self._clock()
        for prefix in found.added:
            self._entries[prefix.key] = (prefix.lives_s, now + prefix.lives_s)
