"""A program that scores answers with a user's function, for a runner: one at a time, in order.

``scoring_program NAME FOLDER [check | frame]``. NAME is ``module:function``, which is imported from
FOLDER. With "check" the reply says what it returns, and that is all. Else each line on stdin is a
request, each line on stdout a reply. With "frame" descriptor 3 is the session's frame. What the
function prints goes to stderr. The end of stdin is the end of the program, whatever the function
does then.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import queue
import sys
import threading
import traceback
import typing
from collections.abc import Callable
from typing import IO, Any

_FRAME_FD = 3


def main(argv: list[str]) -> int:
    """Runs the program; returns its exit code."""
    name, folder, *mode = argv
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if mode == ["check"]:
        function = load(name, folder)
        _write(replies, {"returns": "bool" if _is_flag(function) else ""})
        return 0
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    try:
        function = load(name, folder)
        rows = _Rows() if mode == ["frame"] else None
    except BaseException as error:
        traceback.print_exc()
        _write(replies, {"failed": _words(error)})
        return 1
    while True:
        request = json.loads(requests.get())
        _write(replies, {"number": request["number"], **_reply(function, request, rows)})


def load(name: str, folder: str) -> Callable[[dict[str, Any]], Any]:
    """Imports a function.

    Args:
        name: ``module:function``.
        folder: Where the module is, unless it is installed.

    Raises:
        Exception: Whatever its module raises; a TypeError if it is no function.

    Example:
        >>> load("math:floor", "/")(2.5)
        2
    """
    sys.path.insert(0, folder)
    module, _, attributes = name.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    if not callable(found):
        raise TypeError(f"{attributes} of {module} is no function, but {type(found).__name__}")
    function: Callable[[dict[str, Any]], Any] = found
    return function


def _is_flag(function: Callable[[dict[str, Any]], Any]) -> bool:
    """Whether a function says that it returns true or false."""
    try:
        return typing.get_type_hints(function).get("return") is bool
    except Exception:  # what an annotation names may not be there
        return False


class _Rows:
    """The rows of the session's frame."""

    def __init__(self) -> None:
        from cpr_nb.frames.frame_json import decode

        with os.fdopen(_FRAME_FD, "rb") as file:
            self._frame = decode(json.load(file))

    def __getitem__(self, number: int | None) -> dict[str, Any]:
        """The cells of a row by the names of their columns, those of the index among them."""
        from cpr_nb.model.factors import plain

        frame = self._frame
        if frame is None or number is None or not 0 <= number < len(frame):
            return {}
        levels = [level for level in frame.index.names if isinstance(level, str)]
        cells = {level: frame.index.get_level_values(level)[number] for level in levels}
        cells |= {name: frame[name].iloc[number] for name in frame.columns}
        return {str(name): plain(cell) for name, cell in cells.items()}


def _read(requests: queue.SimpleQueue[bytes]) -> None:
    """Reads requests; their end is the runner's, so a function that hangs does not outlive it."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _reply(
    function: Callable[[dict[str, Any]], Any], request: dict[str, Any], rows: _Rows | None
) -> dict[str, Any]:
    given = {name: request[name] for name in ("answer", "prompt", "folder", "task_id", "factors")}
    try:
        row = {} if rows is None else rows[request["row"]]
        value = function({**given, "row": row})
        number = float(value) if hasattr(value, "__float__") else None
    except BaseException as error:
        traceback.print_exc()
        return {"error": _words(error)}
    if number is None or not math.isfinite(number):
        return {"error": f"the function returned {value!r}, which is no number"}
    return {"score": number}


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _write(replies: IO[str], reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()
