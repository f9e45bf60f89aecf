"""SHA-256 and its HMAC without OpenSSL, which the module hashlib loads: 3.6 MB and 2 ms.

The runner is small, and ``cpr list`` quick, because neither needs it unless there is much to hash.
"""

from __future__ import annotations

try:
    from _sha2 import sha256  # type: ignore[import-not-found]  # Python 3.12 and newer
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:  # a Python that has no SHA-256 of its own
        from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLOCK_BYTES = 64
#: From here on the speed of OpenSSL outweighs its loading: 10 MB take 7 ms instead of 45.
_LARGE_BYTES = 1_000_000
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))

__all__ = ["hmac_halves", "hmac_sha256", "sha256", "sha256_for", "sha256_of_file"]


def sha256_for(n_bytes: int) -> Any:
    """What hashes so many bytes in the shortest time; called like ``hashlib.sha256``.

    Example:
        >>> sha256_for(0)(b"").hexdigest()[:16]
        'e3b0c44298fc1c14'
    """
    if n_bytes < _LARGE_BYTES:
        return sha256
    import hashlib

    return hashlib.sha256


def sha256_of_file(data: bytes) -> Any:
    """The hash of a file's content, which may be large.

    Example:
        >>> sha256_of_file(b"").hexdigest()[:16]
        'e3b0c44298fc1c14'
    """
    return sha256_for(len(data))(data)


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """The HMAC (RFC 2104) of a message: 32 bytes that only the holder of the key can make.

    Args:
        key: At most 64 bytes.
        message: The message.

    Example:
        >>> hmac_sha256(b"key", b"The quick brown fox jumps over the lazy dog").hex()[:16]
        'f7bc83f430538424'
    """
    inner, outer = hmac_halves(key)
    inner.update(message)
    outer.update(inner.digest())
    digest: bytes = outer.digest()
    return digest


def hmac_halves(key: bytes) -> tuple[Any, Any]:
    """The two hashes of an HMAC after the key: copied, they serve for many messages.

    Args:
        key: At most 64 bytes.

    Returns:
        What hashes the message, and what hashes the digest of that.
    """
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    return sha256(padded.translate(_INNER)), sha256(padded.translate(_OUTER))
