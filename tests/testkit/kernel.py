"""A real kernel in a process of its own, as a notebook drives it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

LIMIT_S = 120.0  # Ends a test that hangs; no test's outcome depends on how fast it is.


class Cell:
    """What became of one cell.

    Args:
        reply: The content of its reply: ``status`` and, of an error, ``ename`` and ``evalue``.
    """

    def __init__(self, reply: dict[str, Any]) -> None:
        self.reply = reply
        self.messages: list[tuple[str, dict[str, Any]]] = []

    @property
    def status(self) -> str:
        return str(self.reply["status"])

    def text(self, stream: str = "stdout") -> str:
        """What it printed."""
        return "".join(
            c["text"] for kind, c in self.messages if kind == "stream" and c["name"] == stream
        )

    def kinds(self) -> list[str]:
        """What it showed, a word each: the mount of a ``view``, ``html``, or its ``value``."""
        kinds = []
        for kind, content in self.messages:
            if kind == "execute_result":
                kinds.append("value")
            elif kind == "display_data":
                is_view = "cpr-view-" in content["data"].get("text/html", "")
                kinds.append("view" if is_view else "html")
        return kinds

    def results(self) -> list[dict[str, Any]]:
        """The bundles of what it showed: its last expression, and ``display``."""
        shown = ("execute_result", "display_data")
        return [content["data"] for kind, content in self.messages if kind in shown]

    def tracebacks(self) -> list[str]:
        return ["\n".join(c["traceback"]) for kind, c in self.messages if kind == "error"]


class Kernel:
    """An ipykernel; use it as a context, for it ends there.

    Args:
        folder: Where it runs, and where its connection file goes.
        env: Its whole environment.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._context = zmq.Context()
        file = folder.parent / "kernel.json"
        # No ports: whoever talked to an earlier kernel at the same one would talk to this.
        self._sockets = tempfile.TemporaryDirectory()
        self._manager = KernelManager(
            context=self._context,
            connection_file=str(file),
            transport="ipc",
            ip=f"{self._sockets.name}/k",
        )
        self._folder, self._env = folder, dict(env)
        self._client: BlockingKernelClient
        self._kept: list[dict[str, Any]] = []  # seen while something was waited for

    def __enter__(self) -> Kernel:
        env = {**self._env, "IPYTHONDIR": str(self._folder.parent / "ipython")}
        self._manager.kernel_spec.argv[0] = sys.executable
        self._manager.start_kernel(env=env, cwd=str(self._folder))
        self._client = self._manager.client(context=self._context)
        self._client.start_channels()
        try:
            self._client.wait_for_ready(timeout=LIMIT_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._context.destroy(linger=0)
        self._sockets.cleanup()
        ensure_event_loop().close()  # of the blocking client

    def __call__(self, code: str) -> Cell:
        """Runs a cell to its end."""
        return self.run_all(code)[0]

    def good(self, code: str) -> Cell:
        """Runs a cell, which must succeed."""
        cell = self(code)
        assert cell.status == "ok", (cell.reply, cell.text("stderr"))
        return cell

    def run_all(self, *codes: str) -> list[Cell]:
        """Sends all cells at once, as "Run All" does, and waits for them."""
        return self.collect([self.send(code) for code in codes])

    def run_in(self, cell_id: str, code: str) -> Cell:
        """Runs a cell as JupyterLab does, which names the cell."""
        content = {"code": code, "silent": False, "store_history": True, "stop_on_error": True}
        message = self._client.session.msg("execute_request", content, metadata={"cellId": cell_id})
        self._client.shell_channel.send(message)
        return self.collect([str(message["header"]["msg_id"])])[0]

    def send(self, code: str, *, in_terminal: bool = False) -> str:
        """Sends a cell without waiting, as nbclient or jupyter console do.

        Returns:
            The id for `collect`.
        """
        return str(self._client.execute(code, stop_on_error=True, allow_stdin=in_terminal))

    def collect(self, ids: list[str]) -> list[Cell]:
        """Waits for the ends of cells that were sent, in order."""
        cells: dict[str, Cell] = {}
        while len(cells) < len(ids):
            message = self._client.get_shell_msg(timeout=LIMIT_S)
            parent = message["parent_header"]["msg_id"]
            if parent in ids:  # not a late answer to what asked whether it is up
                assert parent == ids[len(cells)], "replies are out of order"
                cells[parent] = Cell(message["content"])
        idle = set(ids)
        while idle:
            message = self._kept.pop(0) if self._kept else self._client.get_iopub_msg(LIMIT_S)
            parent, content = message["parent_header"].get("msg_id"), message["content"]
            if parent in cells:
                cells[parent].messages.append((message["msg_type"], content))
                if content.get("execution_state") == "idle":
                    idle.discard(parent)
        return list(cells.values())

    def await_output(self, text: str) -> None:
        """Waits until a cell that runs has printed this."""
        seen = ""
        while text not in seen:
            message = self._client.get_iopub_msg(LIMIT_S)
            self._kept.append(message)
            if message["msg_type"] == "stream":
                seen += message["content"]["text"]

    def await_shown(self, text: str) -> dict[str, Any]:
        """Waits until something with this text is shown, or takes the place of what was."""
        while True:
            message = self._client.get_iopub_msg(timeout=LIMIT_S)
            self._kept.append(message)
            if message["msg_type"] in ("display_data", "update_display_data"):
                data: dict[str, Any] = message["content"]["data"]
                if text in data.get("text/html", ""):
                    return data

    def subshell(self) -> str | None:
        """Makes a thread for the messages of widgets, as JupyterLab does; None if it can't."""
        if "kernel subshells" not in self._features():
            return None
        control = self._client.control_channel
        control.send(self._client.session.msg("create_subshell_request", {}))
        reply = self._client.get_control_msg(timeout=LIMIT_S)["content"]
        return str(reply["subshell_id"])

    def _features(self) -> list[str]:
        reply = self._client.kernel_info(reply=True, timeout=LIMIT_S)
        return list(reply["content"].get("supported_features", ()))

    def send_comm(self, comm_id: str, data: Any, subshell: str | None = None) -> None:
        """Sends what a widget in the browser would, and waits for nothing."""
        message = self._client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self._client.shell_channel.send(message)

    def await_comm(self, comm_id: str) -> Any:
        """Waits for what the kernel sends to a widget."""
        while True:
            message = self._client.get_iopub_msg(timeout=LIMIT_S)
            self._kept.append(message)
            content = message["content"]
            if message["msg_type"] == "comm_msg" and content["comm_id"] == comm_id:
                return content["data"]

    def interrupt(self) -> None:
        """What the stop button does."""
        self._manager.interrupt_kernel()

    def complete(self, code: str) -> list[str]:
        """What Tab offers at the end of a cell's text."""
        reply = self._client.complete(code, reply=True, timeout=LIMIT_S)
        return list(reply["content"]["matches"])
