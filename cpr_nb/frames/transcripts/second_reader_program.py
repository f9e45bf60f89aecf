"""The program of the second process that reads transcripts: what `second_reader` starts."""

from __future__ import annotations

import gc
import os
import sys

import msgspec

from cpr_nb.frames.transcripts.file_rows import read_new_file
from cpr_nb.frames.transcripts.second_reader import Job, has_turn


def main(descriptors: list[str]) -> None:
    """Reads groups of files from the last one on, as long as there is one to take.

    Args:
        descriptors: The pipe with a byte for each group, and the file for the results.
    """
    turns, results = map(int, descriptors)
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    folder = os.fsdecode(job.folder)
    gc.disable()  # nothing that is read is garbage
    group = len(job.groups)
    # Whoever waits for the results may have been killed.
    while os.getppid() == job.parent and has_turn(turns):
        group -= 1
        with open(results, "ab", closefd=False) as file:
            for place, (path, is_agent) in enumerate(job.groups[group]):
                file.write(_message(group, place, f"{folder}/{path}", is_agent=is_agent))
        os.write(sys.stdout.fileno(), b".")


def _message(group: int, place: int, path: str, *, is_agent: bool) -> bytes:
    """The rows of a file, behind their size; nothing if they can't be had or sent."""
    try:
        rows = read_new_file(path, is_agent=is_agent)
        data = msgspec.msgpack.encode(((group, place), rows))
    except Exception:  # the other process reads it again, and says what is wrong
        return b""
    return len(data).to_bytes(8, "little") + data
