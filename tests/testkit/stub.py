"""A stand-in for the Claude Code CLI, for what the real one can't be made to show.

It does what the prompt says: ``STUB={...}`` anywhere in it, a JSON object with, all optional:

=========== ==================================================================================
spawn       a list of "setsid" and "nohup": leave such children behind, blocked for ever
ignore_term ignore SIGTERM
say         write an assistant's text; ``tool``: [name, input], write the call of a tool
raw         write this text to stdout as it is
stderr      write this text to stderr
write       a mapping: name of a file in the task's folder → the text to write into it
here        tell the test, which waits with `Stub.await_here`
gate        block until the test calls `Stub.release`, or for ever
lock        block while someone holds ``lock-NAME`` in the stub's folder (flock)
result      keys over those of the usual result line; null: write no result line
mended      once the test has called `Stub.mend`, keys over those of ``result``, and exit 0
exit        the exit code; ``signal``: end by this signal instead
=========== ==================================================================================

Each call is recorded with its arguments, environment and stdin: `Stub.calls`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

_SCRIPT = """#!PYTHON -IS
import json, os, signal, sys

FOLDER = REPLACED
if "--version" in sys.argv[1:]:
    with open(FOLDER + "/asked", "a") as file:
        file.write("version\\n")
    with open(FOLDER + "/version") as file:
        print(file.read())
    sys.exit()
if sys.argv[1:] == ["auth", "status"]:
    print('{"loggedIn": true}')
    sys.exit()
if "--permission-prompt-tool=stdio" in sys.argv:  # its stdin stays open, for answers
    prompt = json.loads(sys.stdin.buffer.readline())["message"]["content"]
else:
    prompt = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
mark = prompt.rfind("STUB=")
plan = json.JSONDecoder().raw_decode(prompt, mark + 5)[0] if mark >= 0 else {}
if plan.get("ignore_term"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def write(event):
    text = json.dumps(event) if isinstance(event, dict) else event
    sys.stdout.buffer.write(text.encode() + b"\\n")
    sys.stdout.flush()


def message(block):
    write({"type": "assistant", "message": {"id": "m1", "role": "assistant", "content": [block]}})


pids = []
for kind in plan.get("spawn", ()):
    import subprocess

    block = ["sh", "-c", "read line < " + FOLDER + "/never"]
    null = subprocess.DEVNULL
    argv = ["nohup", *block] if kind == "nohup" else block
    child = subprocess.Popen(
        argv, stdin=null, stdout=null, stderr=null, start_new_session=kind == "setsid"
    )
    pids.append(child.pid)
call = {
    "argv": sys.argv[1:],
    "env": dict(os.environ),
    "stdin": prompt,
    "pid": os.getpid(),
    "sid": os.getsid(0),
    "cwd": os.getcwd(),
    "children": pids,
}
name = FOLDER + "/calls/" + os.environ.get("CPR_TASK_ID", "none") + "." + str(os.getpid())
with open(name + ".tmp", "w") as file:
    json.dump(call, file)
os.rename(name + ".tmp", name)
flag = "--session-id" if "--session-id" in sys.argv else "--resume"
conversation = sys.argv[sys.argv.index(flag) + 1]
write({"type": "system", "subtype": "init", "session_id": conversation, "model": "stub"})
if "say" in plan:
    message({"type": "text", "text": plan["say"]})
if "tool" in plan:
    message({"type": "tool_use", "id": "t1", "name": plan["tool"][0], "input": plan["tool"][1]})
if "raw" in plan:
    write(plan["raw"])
if "stderr" in plan:
    print(plan["stderr"], file=sys.stderr, flush=True)
for name, text in plan.get("write", {}).items():
    with open(name, "w") as file:
        file.write(text)
if "here" in plan:
    with open(FOLDER + "/here-" + plan["here"], "w") as fifo:
        fifo.write(os.environ.get("CPR_TASK_ID", "") + "\\n")
if "gate" in plan:
    with open(FOLDER + "/gate-" + plan["gate"]) as fifo:
        fifo.read()
if "lock" in plan:
    import fcntl

    with open(FOLDER + "/lock-" + plan["lock"]) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
if "mended" in plan and os.path.exists(FOLDER + "/mended"):
    plan["result"], plan["exit"] = plan["mended"], 0
result = plan.get("result", {})
if result is not None:
    usual = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1}
    usual.update({"result": "done", "session_id": conversation, "total_cost_usd": 0.25})
    usual["usage"] = {"input_tokens": 10, "output_tokens": 5}
    usual.update(result)
    write(usual)
if "signal" in plan:
    os.kill(os.getpid(), plan["signal"])
sys.exit(plan.get("exit", 0))
"""


def plan(**what: Any) -> str:
    """A prompt that says what the stub does."""
    return "Do it. STUB=" + json.dumps(what)


class Stub:
    """The stub's program in a folder of its own.

    Args:
        folder: Where it goes; created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "calls").mkdir(parents=True)
        os.mkfifo(folder / "never")
        self.set_version("9.9.9 (stub)")
        self.path = folder / "claude"
        python = os.path.realpath(sys.executable)
        script = _SCRIPT.replace("PYTHON", python).replace("REPLACED", repr(str(folder)))
        self.path.write_text(script)
        self.path.chmod(0o755)

    def __str__(self) -> str:
        return str(self.path)

    def set_version(self, words: str) -> None:
        """Sets what it prints for ``--version``."""
        (self.folder / "version").write_text(words)

    @property
    def n_asked(self) -> int:
        """How often it was asked for its version."""
        asked = self.folder / "asked"
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    def fifos(self, *names: str) -> None:
        """Makes the ``here`` and the ``gate`` of these names."""
        for name in names:
            os.mkfifo(self.folder / f"here-{name}")
            os.mkfifo(self.folder / f"gate-{name}")

    def await_here(self, name: str) -> str:
        """Waits until a task is there; returns its id."""
        while True:
            with (self.folder / f"here-{name}").open() as fifo:
                if line := fifo.readline().strip():
                    return line
                # An earlier task, which was here already, has only closed it now.

    def release(self, name: str) -> None:
        """Lets a task that waits at a gate continue."""
        with (self.folder / f"gate-{name}").open("w"):
            pass

    def mend(self) -> None:
        """What failed succeeds from now on, where a plan says so."""
        (self.folder / "mended").touch()

    def calls(self) -> dict[str, dict[str, Any]]:
        """What it was called with: task id → arguments, environment, stdin, …"""
        calls = {}
        files = (self.folder / "calls").iterdir()
        whole = [file for file in files if file.suffix != ".tmp"]
        for file in sorted(whole, key=lambda file: file.stat().st_mtime_ns):  # the last one stays
            calls[file.name.rpartition(".")[0]] = json.loads(file.read_text())
        return calls
