"""What a list says of ended sessions, kept so that a second list is cheap.

One file, rewritten as a whole, by column: 10,000 rows are read in some milliseconds. A row counts
only for a session whose status.json has not changed; see `cpr_nb.store.cache_files`.
"""

from __future__ import annotations

import zlib
from array import array

from cpr_nb.model.record import SCHEMA_VERSION
from cpr_nb.model.states import ENDED_STATES
from cpr_nb.store import cache_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    # When the session started (seconds, and as a text), its folder, its state, whether it has the
    # user's mark, its name and its figures as they are shown, the signature of its status.json.
    # A plain tuple, because there may be 10,000.
    Row = tuple[int, str, str, str, bool, str, str, cache_files.Signature]
    Seal = Callable[[bytes], bytes]

_NAME = "list"
_SEAL_BYTES = 32
_N_NUMBERS = 5
_NUMBER_BYTES = 8
_LARGEST = (1 << 63) - 1


def is_keepable(row: Row) -> bool:
    """Whether a row can be kept: whatever a status.json holds, the file has one form."""
    is_number = type(row[0]) is int and 0 <= row[0] <= _LARGEST
    return is_number and (row[1] + row[2] + row[5] + row[6]).isprintable()


class ListCache:
    """The rows that are kept in a results directory.

    Args:
        directory: The results directory.
        version: The version of cpr, since another one may say something else of a session.
        seal: Makes the seal of which sessions have the user's mark: nobody else can forge that.
    """

    def __init__(self, directory: str, version: str, seal: Seal) -> None:
        self._directory = directory
        self._magic = f"cpr_nb list 1 {version} {SCHEMA_VERSION} ".encode()
        self._seal = seal

    def rows_of(self, folders: Collection[str], directory_fd: int) -> list[Row]:
        """The rows of sessions whose status.json is still the same.

        Args:
            folders: The names of the sessions' folders.
            directory_fd: The results directory, open.
        """
        rows = [row for row in self._load() if row[2] in folders]
        now = cache_files.signatures_of([f"{row[2]}/status.json" for row in rows], directory_fd)
        return [row for row, signature in zip(rows, now, strict=True) if row[-1] == signature]

    def save(self, rows: Sequence[Row]) -> None:
        """Keeps these rows, and no others."""
        cache_files.save(self._directory, _NAME, [self.packed(rows)])

    def packed(self, rows: Sequence[Row]) -> bytes:
        """Rows as bytes; there must be some."""
        starts, created, folders, states, marked, *texts, signatures = zip(*rows, strict=True)
        numbers = array("q", starts)
        for column in zip(*signatures, strict=True):
            numbers.extend(column)
        flags = bytes(map(ENDED_STATES.index, states)) + bytes(marked)
        text = "\0".join("\n".join(column) for column in (created, folders, *texts))
        seal = self._seal(flags + "\n".join(folders).encode())
        body = b"".join([seal, numbers.tobytes(), flags, text.encode()])
        return b"%s%08x %d\n%s" % (self._magic, zlib.crc32(body), len(rows), body)

    def unpacked(self, data: bytes) -> list[Row]:
        """The rows of these bytes; none if they are damaged, forged, or of another version."""
        head, _, body = data.partition(b"\n")
        checksum, _, n_rows = head.removeprefix(self._magic).partition(b" ")
        if not head.startswith(self._magic) or checksum != b"%08x" % zlib.crc32(body):
            return []
        try:
            return _parse(body, int(n_rows), self._seal)
        except (ValueError, LookupError):
            return []

    def _load(self) -> list[Row]:
        file = cache_files.open_own(self._directory, _NAME)
        if file is None:
            return []
        try:
            with file:
                return self.unpacked(file.read())
        except OSError:
            return []  # the next save replaces it


def _parse(body: bytes, n: int, seal: Seal) -> list[Row]:
    at_flags = _SEAL_BYTES + _N_NUMBERS * _NUMBER_BYTES * n
    numbers, flags = array("q"), body[at_flags : at_flags + 2 * n]
    numbers.frombytes(body[_SEAL_BYTES:at_flags])
    starts, *signature = (numbers[n * i : n * (i + 1)] for i in range(_N_NUMBERS))
    text = body[at_flags + 2 * n :].decode()
    if not text.replace("\n", "").replace("\0", "").isprintable():
        raise ValueError("not from here")
    created, folders, labels, figures = (column.split("\n") for column in text.split("\0"))
    if body[:_SEAL_BYTES] != seal(flags + "\n".join(folders).encode()):
        raise ValueError("somebody else's")
    if len(set(folders)) != n:
        raise ValueError("a session twice")
    states = [ENDED_STATES[number] for number in flags[:n]]
    marked = map(bool, flags[n:])
    signatures = zip(*signature, strict=True)
    columns = (starts, created, folders, states, marked, labels, figures, signatures)
    return list(zip(*columns, strict=True))
