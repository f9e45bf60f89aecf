"""Runs the runner's own ``__main__`` and kills it (SIGKILL) in the middle of what it does.

``python -I -S -X utf8 killer.py SPEC MAIN ARGUMENT…``: SPEC is a file with a JSON object:

===== ========================================================================================
op    which calls count, by the beginning of their label: ``write:journal:intent``,
      ``write:answer``, ``write:status``, ``replace:status``, ``open:stream``, ``spawn:agent``,
      ``write:stdin:prompt`` and ``write:stdin:clear`` (to a shared process), ``copy`` (of its
      stream); an empty one matches all
n     the how-manieth of them, from 1
when  before it, after it, or inside: after a part of the bytes was written
share which part, from 0 to 1
armed true: from the start; false: once the runner has said that it is up; a text: once there is a
      file of this name
===== ========================================================================================

It needs no hook in the product: the runner calls all of this as ``os.…``, which is replaced
in its process before its first line runs.
"""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any

_EVENT = re.compile(rb'"event":"(\w+)"')


def _kind(path: Any) -> str:
    name = os.path.basename(os.fsdecode(path)).removesuffix(".tmp")  # noqa: PTH119
    if name.startswith("task-"):
        suffix = name.rpartition(".")[2]
        return {"txt": "answer", "jsonl": "stream", "err": "stderr"}.get(suffix, suffix)
    return {"journal.jsonl": "journal", "status.json": "status", "runner.json": "runner"}.get(
        name, "other"
    )


class Killer:
    """Counts calls, and kills this process at the one that was asked for."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.op, self.left, self.when = spec["op"], spec["n"], spec["when"]
        self.share, self.armed = spec["share"], spec["armed"]
        self.kinds: dict[int, str] = {}  # of open descriptors
        self.real = {
            name: getattr(os, name)
            for name in ("write", "open", "replace", "posix_spawnp", "pipe", "copy_file_range")
        }

    def install(self) -> None:
        """Puts itself in the place of what the runner calls."""
        real_close = os.close

        def write(fd: int, data: Any) -> int:
            label = f"write:{self.kinds.get(fd, 'other')}"
            event = _EVENT.search(data) if label == "write:journal" else None
            label += f":{event[1].decode()}" if event else ""
            if label == "write:stdin":
                label += ":clear" if b'"content": "/clear"' in data else ":prompt"
            part = data[: max(1, min(len(data) - 1, int(len(data) * self.share)))]
            written: int = self.call(
                label, lambda: self.real["write"](fd, data), lambda: self.real["write"](fd, part)
            )
            if bytes(data[:3]) == b"ok " and self.armed is False:
                self.armed = True
            return written

        def open_(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
            kind = _kind(path)
            fd: int = self.call(
                f"open:{kind}", lambda: self.real["open"](path, flags, mode, **more)
            )
            self.kinds[fd] = kind
            return fd

        def close(fd: int) -> None:
            self.kinds.pop(fd, None)
            real_close(fd)

        def pipe() -> tuple[int, int]:
            read_fd, write_fd = self.real["pipe"]()
            self.kinds[write_fd] = "stdin"
            return read_fd, write_fd

        def copy(*args: int) -> int:
            n_bytes: int = self.call("copy", lambda: self.real["copy_file_range"](*args))
            return n_bytes

        def replace(old: Any, new: Any) -> None:
            self.call(f"replace:{_kind(new)}", lambda: self.real["replace"](old, new))

        def spawn(*args: Any, **more: Any) -> int:
            label = "spawn:agent" if b"CPR_TASK_TOKEN" in args[2] else "spawn:other"
            pid: int = self.call(label, lambda: self.real["posix_spawnp"](*args, **more))
            return pid

        os.write, os.open, os.close, os.replace = write, open_, close, replace  # type: ignore[assignment]
        os.pipe, os.copy_file_range = pipe, copy
        os.posix_spawnp = spawn  # type: ignore[assignment]
        os.fdopen = _fdopen  # type: ignore[assignment]

    def call(self, label: str, do: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Makes a call, if this is not the end."""
        if isinstance(self.armed, str) and os.path.exists(self.armed):  # noqa: PTH110
            self.armed = True
        if not (self.armed is True and label.startswith(self.op)):
            return do()
        self.left -= 1
        if self.left == 0 and self.when == "inside" and half is not None:
            half()
        elif self.left == 0 and self.when == "after":
            do()
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return do()


class _Raw(io.RawIOBase):
    """A file whose bytes go through ``os.write``, as those of ``os.fdopen`` don't."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return os.write(self._fd, bytes(data))

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._fd)


def _fdopen(fd: int, mode: str = "r", buffering: int = -1, *args: Any, **more: Any) -> Any:
    if mode != "wb":
        return open(fd, mode, buffering, *args, **more)
    return io.BufferedWriter(_Raw(fd), 8192 if buffering < 0 else buffering)


def main() -> None:
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123 - no more is loaded than must be
        spec = json.load(file)
    sys.argv = sys.argv[2:]
    Killer(spec).install()
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
