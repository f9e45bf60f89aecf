"""Rows with a word of their own in shared processes: no other row's requests or file may have it.

Usage: python tests/sharing/canaries.py [--rows 300] [--tools] [-j 4]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# For testkit and sharing.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from testkit.command import Cpr, prompts, script
from testkit.recording import RecordingApi

import cpr_nb as cpr
from sharing.world import offline_cpr

_WORD = re.compile(r"CANARY\d+Z")
_LIMIT_S = 1800.0
_LOOK_S = 0.02


def main(arguments: list[str]) -> int:
    """Runs the rows, and prints what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--tools", action="store_true")
    parser.add_argument("-j", type=int, default=4, dest="parallel")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cpr-canaries-") as folder, RecordingApi() as api:
        served = offline_cpr(Path(folder).resolve(), api)
        wrong = run_rows(served, api, chosen.rows, chosen.parallel, tools=chosen.tools)
    print(*wrong, f"{chosen.rows} rows, {len(wrong)} wrong", sep="\n")
    return 1 if wrong else 0


def run_rows(
    served: Cpr, api: RecordingApi, n_rows: int, n_parallel: int, *, tools: bool
) -> list[str]:
    """Runs rows in shared processes; returns what is wrong, in words."""
    text = prompts(*(_row(number, tools=tools) for number in range(n_rows)))
    allowed = ("--allow", "Bash(cat:*)")
    session = served.launch(text, f"-j{n_parallel}", "--share-process", *allowed)
    streams = _follow(session)
    wrong = [f"{task.id} {task.outcome}: {task.error}" for task in session if not task.ok]
    wrong += [f"{one.id} has a process of its own" for one in session if not _process_of(one)]
    wrong += [f"asked with the words of {words}" for words in _strangers(api)]
    wrong += _asked_twice(api, session)
    for task in session:
        mine = f"CANARY{task.id[1:]}Z"
        if {*_WORD.findall(task.stream_path.read_text("utf-8"))} != {mine}:
            wrong.append(f"the file of {task.id} has other words")
    return wrong + _compared(streams, session)


def _row(number: int, *, tools: bool) -> dict[str, Any]:
    word = f"CANARY{number}Z"
    steps: list[dict[str, Any]] = [{"text": f"answer {word}"}]
    if tools:
        path = f"{{cwd}}/{word}.txt"
        steps[:0] = [
            {"tool": "Write", "input": {"file_path": path, "content": word}},
            {"tool": "Bash", "input": {"command": f"cat {word}.txt", "description": "show"}},
        ]
    return {"id": f"r{number}", "prompt": script(*steps, say=f"Say {word}.")}


def _follow(session: cpr.Session) -> list[bytes]:
    """Waits for the session; returns what its processes wrote, also where that is removed."""
    files: dict[Path, int] = {}
    end_s = time.monotonic() + _LIMIT_S
    try:
        while not session.done() and time.monotonic() < end_s:
            for path in {*session.path.glob("process-*.jsonl")} - {*files}:
                files[path] = os.open(path, os.O_RDONLY)
            time.sleep(_LOOK_S)
        session.wait(_LIMIT_S)
        return [os.pread(file, os.fstat(file).st_size, 0) for file in files.values()]
    finally:
        for file in files.values():
            os.close(file)


def _process_of(task: cpr.Task) -> int | None:
    process = task.fields.get("process")
    return process if isinstance(process, int) else None


def _strangers(api: RecordingApi) -> Iterator[set[str]]:
    """The words of requests that have those of several rows."""
    for body in api.bodies:
        words = {*_WORD.findall(json.dumps(body))}
        if len(words) > 1:
            yield words


def _asked_twice(api: RecordingApi, session: cpr.Session) -> list[str]:
    """Tasks whose prompt was asked more than once, or in another's conversation."""
    asked = Counter(r.conversation_id for r in api.requests if r.step == 0)
    own = {task.conversation_id for task in session}
    return [f"conversation {one} was asked {n} times" for one, n in asked.items() if n > 1] + [
        f"conversation {one} is no task's" for one in asked.keys() - own
    ]


def _compared(streams: list[bytes], session: cpr.Session) -> list[str]:
    """Tasks whose files are not, byte for byte, what their process wrote for them."""
    written = {name: part for stream in streams for name, part in parts(stream)}
    files = {str(task.conversation_id): task.stream_path.read_bytes() for task in session}
    return [
        f"the file of conversation {name} differs from what its process wrote"
        for name in sorted({*written, *files})
        if written.get(name) != files.get(name)
    ]


def parts(stream: bytes) -> Iterator[tuple[str, bytes]]:
    """What a process wrote without the clears: each task's conversation, and its lines.

    A clear begins with the line ``conversation_reset``, the first one with the stream. It ends
    with the next result line.
    """
    lines, clears = list[bytes](), True
    for line in stream.splitlines(keepends=True):
        event = json.loads(line)
        if event["type"] == "conversation_reset":
            if lines:
                yield _conversation_of(lines), b"".join(lines)
            lines, clears = [], True
        elif not clears:
            lines.append(line)
        elif event["type"] == "result":
            clears = False
    if lines:
        yield _conversation_of(lines), b"".join(lines)


def _conversation_of(lines: list[bytes]) -> str:
    (name,) = {json.loads(line).get("session_id") for line in lines} - {None}
    return str(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
