"""Many transcripts are read by two processes: the tables are those of one, whatever happens."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal
from testkit.transcript_lines import call

import cpr_nb as cpr
from cpr_nb.frames.transcripts import second_reader as module
from cpr_nb.frames.transcripts.second_reader import SecondReader

from .conftest import Write

Prepare = Callable[[SecondReader], None]


@pytest.fixture(autouse=True)
def conversations(write: Write) -> None:
    """Files with all that can make an order matter: copies, subagents, odd lines, no lines."""
    for n in range(8):
        main = write(f"s{n}")
        start = main.user(f"Mend number {n}.")
        main.answer(f"m{n}", call(f"c{n}", "Agent"), output=n)
        main.result(f"c{n}", toolUseResult={"agentId": f"a{n}"}, is_error=n % 2 == 0)
        write(f"s{n}", agent=f"a{n}").answer(f"n{n}", call(f"d{n}", "Bash", command="ls"))
        if n % 3 == 0:
            main.rewind(start)
        fork = write(f"fork{n}")
        fork.copy_from(main, requestSessionId=f"s{n}")
        fork.answer(f"f{n}", output=100 + n)
    odd = write("odd")
    odd.answer("o1", usage={"input_tokens": 10**30})  # more than can be sent
    with odd.path.open("a") as file:
        file.write('{"type": 5}\nnot JSON\n{"type": "user", "uuid": "half')
    write("nothing").path.touch()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, projects: Path) -> Callable[..., None]:
    """Reads with one process and with two, and compares all tables and what is kept of them."""

    def play(before_own: Prepare | None, own_groups: int = 0) -> list[int]:
        received: list[int] = []
        monkeypatch.setattr(module, "GROUP_BYTES", 1)
        monkeypatch.setattr(module, "usable_cores", lambda: 2)
        take, receive = SecondReader.own_group, SecondReader.received

        def own_group(self: SecondReader) -> list[int]:
            nonlocal own_groups
            own_groups -= 1
            if own_groups == -1 and before_own is not None:
                before_own(self)
            return take(self)

        def all_received(self: SecondReader) -> list[object]:
            rows = list(receive(self))
            received.extend(index for index, _ in rows)
            return rows

        monkeypatch.setattr(SecondReader, "own_group", own_group)
        monkeypatch.setattr(SecondReader, "received", all_received)
        seen, kept = [], []
        for name, min_bytes in (("one", sys.maxsize), ("two", 0)):
            monkeypatch.setattr(module, "MIN_BYTES", min_bytes)
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
            seen.append(cpr.transcripts(projects))
            (file,) = (tmp_path / name).rglob("transcripts-*")
            kept.append(file.read_bytes())
        assert seen[0].n_read_bytes == seen[1].n_read_bytes
        assert_frame_equal(seen[0].df(full=True), seen[1].df(full=True))
        assert_frame_equal(seen[0].messages_df(), seen[1].messages_df())
        assert_frame_equal(seen[0].tool_calls_df(full=True), seen[1].tool_calls_df(full=True))
        assert_frame_equal(seen[0].events_df(), seen[1].events_df())
        assert kept[0] == kept[1]
        return received

    return play


N_FILES = 26
#: The place of the file that can't be sent, in the order of the paths.
ODD = 9


@pytest.mark.parametrize("n_own", [0, 1, 5])
def test_two_processes_say_what_one_says(reads: Callable[..., list[int]], n_own: int) -> None:
    received = reads(SecondReader.wait, n_own)
    assert sorted([*received, ODD]) == [*range(n_own, N_FILES)]


def test_the_first_process_may_read_all(reads: Callable[..., list[int]]) -> None:
    reads(None)


def die(reader: SecondReader) -> None:
    """It has sent something, is in the middle of something, and is killed."""
    select.select([reader._progress], [], [])
    os.kill(reader._process.pid, signal.SIGKILL)
    reader._process.wait()
    os.read(reader._turns, 2)
    end = os.fstat(reader._results.fileno()).st_size
    os.pwrite(reader._results.fileno(), (1000).to_bytes(8, "little") + b"half", end)


def hang(reader: SecondReader) -> None:
    """It is stopped before it begins, but has its turns."""
    os.kill(reader._process.pid, signal.SIGSTOP)
    os.read(reader._turns, 2)


@pytest.mark.parametrize("fault", [die, hang])
def test_what_the_other_process_does_not_deliver_is_read_here(
    reads: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch, fault: Prepare
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    assert len(reads(fault)) < N_FILES


def test_one_process_reads_where_two_would_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [("a.jsonl", False, module.MIN_BYTES), ("b.jsonl", False, 1)]
    monkeypatch.setattr(module, "usable_cores", lambda: 1)
    assert module.second_reader("/", files) is None
    monkeypatch.setattr(module, "usable_cores", lambda: 2)
    assert module.second_reader("/", files[:1]) is None
    assert module.second_reader("/", [("a.jsonl", False, 1), ("b.jsonl", False, 1)]) is None
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert module.second_reader("/", files) is None


_PROGRAM = """
import sys
own_folder = sys.path.pop(0)  # where modules lie that would be loaded by anyone who looks there
import json
import cpr_nb as cpr
from cpr_nb.frames.transcripts import second_reader as module
sys.path.insert(0, own_folder)
module.MIN_BYTES, module.GROUP_BYTES, module.usable_cores = 0, 1, lambda: 2
take, receive, received = module.SecondReader.own_group, module.SecondReader.received, []
def own_group(self):
    self.wait()
    return take(self)
def all_received(self):
    for each in receive(self):
        received.append(each)
        yield each
module.SecondReader.own_group, module.SecondReader.received = own_group, all_received
print(len(cpr.transcripts(sys.argv[1]).messages_df()), len(received))
"""


def test_it_needs_no_main_module_and_loads_nothing_of_the_folder(
    tmp_path: Path, projects: Path
) -> None:
    for name in ("numpy.py", "msgspec.py", "json.py", "cpr_nb.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(projects)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stderr, done.stdout.split()) == ("", ["25", str(N_FILES - 1)])
    assert not (tmp_path / "marker").exists()
