"""Runs one process of a task on a node that lacks the repository, or the CLI's folder of home.

``python -I …/carried_run.py SPEC``: it unpacks the task's parcel, makes its checkout, puts its
conversation where the CLI looks for it, and starts the process. What must come home goes into a
spool. It passes signals on, and ends as the process has ended.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import time

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from cpr_nb.nodes.outbox import Outbox, Transcripts
from cpr_nb.store.conversation import config_home, transcript_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHIP_EVERY_MS = 5000
_FAILED = 1
_HELPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "checkout.py")


class CarriedRun:
    """One such process.

    Args:
        spec: What the node agent wrote down: ``argv``, ``cwd``, ``parcel`` (empty: there is none),
            ``home`` (the spool), ``root`` (our folder on this
            machine), ``place`` (the task's own folder), ``conversation_id``,
            ``has_fourth`` (whether descriptor 3 is for the process).
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._outbox = Outbox(spec["home"])
        self._folder = f"{spec['home']}.d"
        self._checkout: dict[str, Any] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped_by = 0
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._pass_on)

    def run(self) -> int:
        """Runs it; returns its exit code, negative for a signal."""
        try:
            self._unpack()
            cwd, argv = self._spec["cwd"], self._spec["argv"]
            if os.path.exists(f"{self._folder}/checkout.json"):
                self._checkout = self._make_checkout()
                if not self._checkout["ok"]:
                    names = "reason", "error"
                    why = {name: self._checkout[name] for name in names}
                    self._outbox.add("unprepared.json", json.dumps(why).encode())
                    return -self._stopped_by or _FAILED
                cwd, argv = self._checkout["cwd"], [self._here(word) for word in argv]
            folder = transcript_folder(config_home(os.environ), cwd)
            self._plant(folder)
            shipped = Transcripts(folder, self._spec["conversation_id"], time.time_ns())
            code = self._run_process(argv, cwd, shipped)
            shipped.ship(self._outbox)
            self._bring_work()
            return code
        except (OSError, ValueError, tarfile.TarError) as error:
            print(f"cpr: on node {os.uname().nodename}: {error}", file=sys.stderr)
            return -self._stopped_by or _FAILED
        finally:
            self._outbox.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _pass_on(self, number: int, _frame: object) -> None:
        self._stopped_by = number
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(number)

    def _unpack(self) -> None:
        os.makedirs(self._folder, 0o700, exist_ok=True)
        if self._spec["parcel"]:
            with tarfile.open(self._spec["parcel"]) as tar:
                tar.extraction_filter = lambda member, _path: member  # our own runner made it
                tar.extractall(self._folder)  # noqa: S202
            os.unlink(self._spec["parcel"])

    def _here(self, word: str) -> str:
        """An argument with the paths of this node in the place of those at home."""
        for at_home, here in self._checkout["paths"]:
            for old, new in ((at_home, here), (json.dumps(at_home)[1:-1], json.dumps(here)[1:-1])):
                word = word.replace(old, new)
        return word

    def _plant(self, folder: str) -> None:
        packed = f"{self._folder}/transcripts"
        if os.path.isdir(packed):
            shutil.copytree(packed, folder, dirs_exist_ok=True)

    def _run_process(self, argv: list[str], cwd: str, shipped: Transcripts) -> int:
        if self._stopped_by:
            return -self._stopped_by
        fds = (3,) if self._spec["has_fourth"] else ()
        self._child = child = subprocess.Popen(argv, cwd=cwd, pass_fds=fds)  # noqa: S603
        if self._stopped_by:  # meanwhile
            child.send_signal(self._stopped_by)
        pidfd = os.pidfd_open(child.pid)
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        while not poller.poll(_SHIP_EVERY_MS):
            shipped.ship(self._outbox)
        os.close(pidfd)
        return child.wait()

    def _ask_helper(self, command: str, **job: str) -> dict[str, Any]:
        """Makes or saves the checkout, in a process of its own: it loads much.

        Raises:
            OSError: If that failed.
        """
        helper = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-I", _HELPER, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._child = helper if command == "make" else None
        reply = helper.communicate(json.dumps(job).encode())[0]
        answer = json.loads(reply or b"{}")
        if "ok" not in answer:
            raise OSError(f"its checkout: the helper to {command} it ended without an answer")
        return dict(answer)

    def _make_checkout(self) -> dict[str, Any]:
        root, place = self._spec["root"], self._spec["place"]
        return self._ask_helper("make", root=root, place=place, parcel=self._folder)

    def _bring_work(self) -> None:
        if not self._checkout:
            return
        place, bundle = self._spec["place"], f"{self._folder}/bundle"
        answer = self._ask_helper("save", place=place, bundle=bundle)
        if not answer["ok"]:
            raise OSError(f"its work can't be sent home: {answer['error']}")
        self._outbox.add_file("setup.log", answer["setup_log"])
        self._outbox.add_file("bundle", bundle)


def main(path: str) -> int:
    """Runs what a file describes, and removes the file."""
    with open(path, "rb") as file:
        spec = json.load(file)
    os.unlink(path)
    code = CarriedRun(spec).run()
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):  # nobody can ignore these
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
