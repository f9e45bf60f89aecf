"""A second process that reads new transcripts beside this one, where there are many.

Reading is work for the interpreter, so threads would not share it. This process takes files from
the beginning of the list, the other one from its end. Each takes a byte from one pipe before it
takes the next group of files, so that they meet where all bytes are gone. What the other process
has not delivered, for whatever reason, is read here: it can only save time.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import numpy as np

from cpr_nb.frames.transcripts.file_rows import FileRows
from cpr_nb.store.resources import usable_cores

#: From so many bytes on it is worth it: a process needs the time of 30 MB to start.
MIN_BYTES = 80_000_000
#: Files are taken in groups of about so many bytes; a larger file is a group of its own.
GROUP_BYTES = 4_000_000
# A byte for each group has to fit into a pipe, which may be as small as a page.
_MOST_GROUPS = 2000
#: How long a group may take before we no longer wait, besides what its bytes need.
PATIENCE_S = 10.0
_SLOWEST_BYTES_PER_S = 10_000_000

#: Starts the program: where packages are is known only to the process that starts it.
_START = (
    "import json, sys; sys.path += json.loads(sys.argv[1]); "
    "from cpr_nb.frames.transcripts.second_reader_program import main; main(sys.argv[2:])"
)


class Job(msgspec.Struct):
    """What the other process gets.

    Args:
        folder: The folder with transcripts, as the system writes it.
        groups: The files in groups: the path of each in the folder, and whether it is the file of
            a subagent.
        parent: The process that waits for it.
    """

    folder: bytes
    groups: list[list[tuple[str, bool]]]
    parent: int


class SecondReader:
    """Another process that reads files, from the last group on.

    Args:
        folder: The folder with transcripts.
        files: The path of each file in the folder, whether it is the file of a subagent, its size.

    Raises:
        OSError: If no process can be started.
    """

    def __init__(self, folder: str, files: list[tuple[str, bool, int]]) -> None:
        self._groups = _grouped([size for *_, size in files])
        self._largest_bytes = max(size for *_, size in files)
        self._n_taken = 0
        self._received = 0  # bytes of its results
        groups = [[files[n][:2] for n in group] for group in self._groups]
        job = Job(os.fsencode(folder), groups, os.getpid())
        self._results = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            self._turns, self._process = self._start(msgspec.msgpack.encode(job))
        except BaseException:
            self._results.close()
            raise
        self._progress = cast(IO[bytes], self._process.stdout)

    def _start(self, job: bytes) -> tuple[int, subprocess.Popen[bytes]]:
        turns, all_turns = os.pipe()
        os.set_blocking(turns, False)  # all bytes are there before the first is read
        try:
            os.write(all_turns, bytes(len(self._groups)))
            with tempfile.TemporaryFile() as file:
                file.write(job)
                file.seek(0)
                fds = (turns, self._results.fileno())
                process = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-I", "-S", "-c", _START, _packages(), *map(str, fds)],
                    stdin=file,
                    stdout=subprocess.PIPE,  # a byte for each group
                    stderr=subprocess.DEVNULL,
                    pass_fds=fds,
                    # An interrupt is for us; and BLAS need not start threads for nothing.
                    start_new_session=True,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                )
        except BaseException:
            os.close(turns)
            raise
        finally:
            os.close(all_turns)
        return turns, process

    def own_group(self) -> list[int]:
        """Takes the next group for this process: indexes of files; empty once all are taken."""
        if not has_turn(self._turns):
            return []
        self._n_taken += 1
        return self._groups[self._n_taken - 1]

    def received(self) -> Iterator[tuple[int, FileRows]]:
        """What has arrived since the last time: the index of a file, and its rows."""
        file = self._results.fileno()
        end = os.fstat(file).st_size
        while self._received + 8 <= end:
            n_bytes = int.from_bytes(os.pread(file, 8, self._received), "little")
            if self._received + 8 + n_bytes > end:
                return  # still being written
            data = os.pread(file, n_bytes, self._received + 8)
            self._received += 8 + n_bytes
            (group, place), rows = _DECODER.decode(data)
            yield self._groups[group][place], rows

    def wait(self) -> None:
        """Waits until it has delivered its groups, has ended, or no longer comes on."""
        pipe = self._progress.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        patience_s = PATIENCE_S + self._largest_bytes / _SLOWEST_BYTES_PER_S
        n_expected = len(self._groups) - self._n_taken
        while n_expected > 0 and poll.poll(1000 * patience_s):
            n_expected -= len(os.read(pipe, 4096)) or n_expected

    def close(self) -> None:
        """Ends the process and lets go of its files."""
        self._process.kill()
        self._process.wait()
        self._progress.close()
        self._results.close()
        os.close(self._turns)


_DECODER = msgspec.msgpack.Decoder(tuple[tuple[int, int], FileRows])


def second_reader(folder: str, files: list[tuple[str, bool, int]]) -> SecondReader | None:
    """A second process for these files; None if it would be of no use, or can't be had.

    Args:
        folder: The folder with transcripts.
        files: The path of each file in the folder, whether it is the file of a subagent, its size.
    """
    is_worth_it = len(files) > 1 and sum(size for *_, size in files) >= MIN_BYTES
    if not (is_worth_it and usable_cores() >= 2 and sys.executable):
        return None
    try:
        return SecondReader(folder, files)
    except OSError:
        return None


def has_turn(turns: int) -> bool:
    """Takes a byte from the pipe; whether there was one."""
    try:
        return bool(os.read(turns, 1))
    except BlockingIOError:  # somebody else still has the other end
        return False


def _grouped(sizes: list[int]) -> list[list[int]]:
    """The indexes of files in groups, in order."""
    group_bytes = max(GROUP_BYTES, sum(sizes) // _MOST_GROUPS)
    groups: list[list[int]] = []
    n_bytes = group_bytes
    for index, size in enumerate(sizes):
        if n_bytes >= group_bytes:
            groups.append([])
            n_bytes = 0
        groups[-1].append(index)
        n_bytes += size
    return groups


def _packages() -> str:
    """Where the packages are that the program needs: it looks nowhere else."""
    libraries: tuple[Any, ...] = (msgspec, np)
    folders = [Path(__file__).parents[3], *(Path(each.__file__).parents[1] for each in libraries)]
    return json.dumps([str(folder) for folder in dict.fromkeys(folders)])
