"""A simulation of prompt caching: which part of a request the API has already seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cpr_nb.offline._script import Json

#: The number of blocks up to a breakpoint, inclusive, that the API compares with its cache.
LOOKBACK_BLOCKS = 20
_LIVES_S = {"5m": 300.0, "1h": 3600.0}
# The start of the CLI's first system block: its version with a fingerprint of the prompt. The real
# API is said to leave it out of the prefix; that could not be checked here.
_BILLING = "x-anthropic-billing-header:"


class CacheUse(NamedTuple):
    """How the answered requests used the prefix cache.

    Attributes:
        n_anew: Requests that found nothing and wrote their whole prefix.
        n_reads: Requests that found at least part of their prefix.
        read_tokens: The tokens that all requests read.
        write_tokens: The tokens that all requests wrote.

    Example:
        >>> CacheUse(n_anew=1, n_reads=39, read_tokens=390_000, write_tokens=10_000).n_reads
        39
    """

    n_anew: int
    n_reads: int
    read_tokens: int
    write_tokens: int


class Prefix(NamedTuple):
    """A request up to the end of one of its blocks; it lives 0 s without a breakpoint there."""

    key: bytes
    tokens: int
    lives_s: float


@dataclass(frozen=True, slots=True)
class CacheMatch:
    """What one request reads from the cache, and what it adds once its answer begins."""

    read_tokens: int = 0
    write_tokens: int = 0
    added: tuple[Prefix, ...] = ()

    @property
    def usage(self) -> Json:
        """The figures as in an answer."""
        return {
            "cache_creation_input_tokens": self.write_tokens,
            "cache_read_input_tokens": self.read_tokens,
        }


def _blocks(request: Mapping[str, Any], billing_line: bool) -> Iterator[tuple[str, Json]]:
    """Yield every block with its place, in the order in which the API joins them."""
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

    The mark of a breakpoint is not part of a prefix: it moves with every turn, and the previous
    turn must still be found. How to think and which tool to choose are part of the messages.

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
    """What the API has cached; the caller makes sure that only one thread uses it.

    Args:
        clock: The time in seconds; it never goes back.

    Example:
        >>> cache = PrefixCache(lambda: 0.0)
        >>> request = {"system": "x" * 400, "cache_control": {"type": "ephemeral"}}
        >>> first = cache.find(prefixes_of(request))
        >>> cache.add(first)
        >>> second = cache.find(prefixes_of(request))
        >>> (first.write_tokens, second.write_tokens, second.read_tokens)
        (107, 0, 107)
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[bytes, tuple[float, float]] = {}  # → (how long it lives, until when)

    def find(self, prefixes: list[Prefix]) -> CacheMatch:
        """Return the longest prefix that is cached, and extend its life."""
        now = self._clock()
        self._entries = {key: entry for key, entry in self._entries.items() if entry[1] > now}
        marked = [index for index, prefix in enumerate(prefixes) if prefix.lives_s]
        if not marked:
            return CacheMatch()
        hits = [i for i in _compared(marked) if prefixes[i].key in self._entries]
        self._extend_lives([prefixes[i].key for i in hits], now)
        read = prefixes[max(hits)].tokens if hits else 0
        added = tuple(prefixes[i] for i in marked if prefixes[i].key not in self._entries)
        return CacheMatch(read, max(0, prefixes[marked[-1]].tokens - read), added)

    def _extend_lives(self, keys: list[bytes], now: float) -> None:
        """Reading the longest prefix also reads the shorter ones."""
        for key in keys:
            lives_s, _ = self._entries[key]
            self._entries[key] = (lives_s, now + lives_s)

    def add(self, match: CacheMatch) -> None:
        """Keep what a request writes; call it when its answer begins: nobody can read earlier."""
        now = self._clock()
        for prefix in match.added:
            self._entries[prefix.key] = (prefix.lives_s, now + prefix.lives_s)


def _compared(marked: list[int]) -> set[int]:
    """The blocks that the API compares, given those with a breakpoint."""
    return {i for end in marked for i in range(max(0, end - LOOKBACK_BLOCKS + 1), end + 1)}
