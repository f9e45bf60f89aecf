"""Real processes: started, known again, and ended with their whole tree.

Nothing here waits by the clock: children report on pipes, and their end is read from a pidfd.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testkit.containers import why_not

from cpr_nb.model.environment import TOKEN_VARIABLE
from cpr_nb.runner import process

pytestmark = pytest.mark.skipif(not process.LINUX, reason="reads /proc and waits on pidfds")

# Every child reports its pid on descriptor 1 and then waits until somebody ends it. It stays
# deaf to everything that can be ignored, as a tool that hangs may be.
WAIT = """
import os, signal
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
os.write(1, b"%d\\n" % os.getpid())
while True:
    signal.pause()
"""
# What the CLI leaves behind: a shell in a session of its own, a nohup in the background, and
# a child whose parent is gone. Their stdout is the same pipe.
TREE = f"""
setsid {sys.executable} -S -c '{WAIT}' &
nohup {sys.executable} -S -c '{WAIT}' 2>/dev/null &
({sys.executable} -S -c '{WAIT}' &)
exec {sys.executable} -S -c '{WAIT}'
"""


class Child:
    """A process by its descriptor: it can't be mistaken for another, also when it is gone."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        return not select.select([self.pidfd], [], [], 0)[0]

    def wait(self) -> None:
        """Returns when it has ended (pytest's timeout ends a test that waits for ever)."""
        select.select([self.pidfd], [], [])

    def kill(self) -> None:
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait()
        os.close(self.pidfd)


Begin = Callable[..., list[Child]]


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`process.spawn` goes to the folder of the process that it starts; the test comes back."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts a program with `process.spawn`; gives the processes that reported, the first of
    which is the one that was started unless it never reports.
    """
    started: list[int] = []
    children: list[Child] = []

    def start(*argv: str, token: str = "", reports: int = 1) -> list[Child]:
        read_fd, write_fd = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        env = {b"PATH": os.environb[b"PATH"]}
        if token:
            env[TOKEN_VARIABLE.encode()] = token.encode()
        try:
            pid = process.spawn(
                list(argv), cwd=str(tmp_path), env=env, stdin=null, stdout=write_fd, stderr=null
            )
        finally:
            os.close(write_fd)
            os.close(null)
        started.append(pid)
        with os.fdopen(read_fd, "rb") as pipe:
            found = [Child(int(pipe.readline())) for _ in range(reports)]
        children.extend(found)
        return sorted(found, key=lambda child: child.pid != pid)

    yield start
    for child in children:
        child.kill()
    for pid in started:
        reap(pid)


def reap(pid: int) -> int:
    """The exit code of a child of ours; -1 if it was reaped before."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return -1


def waiting(begin: Begin, token: str = "") -> Child:
    return begin(sys.executable, "-S", "-c", WAIT, token=token)[0]


@pytest.fixture
def attempt_token() -> str:
    return f"{uuid.uuid4()}/task@1"


def run(code: str, *, stdin: int, env: dict[bytes, bytes], cwd: Path) -> bytes:
    """What a Python program, started by `process.spawn`, writes to its stdout."""
    with tempfile.TemporaryFile() as out:
        argv = [sys.executable, "-S", "-c", code]
        pid = process.spawn(
            argv, cwd=str(cwd), env=env, stdin=stdin, stdout=out.fileno(), stderr=out.fileno()
        )
        assert reap(pid) == 0
        out.seek(0)
        return out.read()


def target_of(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


@pytest.fixture
def null() -> Iterator[int]:
    fd = os.open(os.devnull, os.O_RDWR)
    yield fd
    os.close(fd)


# -- spawn ------------------------------------------------------------------------------------


def test_a_process_gets_a_session_and_a_group_of_its_own(begin: Begin) -> None:
    child = waiting(begin)
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
    assert os.getsid(child.pid) != os.getsid(0)


def test_a_process_gets_its_folder_and_exactly_its_environment(tmp_path: Path, null: int) -> None:
    code = "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"
    cwd, env = json.loads(run(code, stdin=null, env={b"A": "ä=\n".encode()}, cwd=tmp_path))
    assert cwd == os.path.realpath(tmp_path)
    env.pop("LC_CTYPE", None)  # Python's own, where there is no locale
    assert env == {"A": "ä=\n"}


def test_no_descriptor_of_ours_gets_into_a_process(tmp_path: Path, null: int) -> None:
    """Whoever holds the session's lock, or the writing end of a pipe, keeps others waiting."""
    code = """
import os
for fd in os.listdir("/proc/self/fd"):
    try:
        print(os.readlink(f"/proc/self/fd/{fd}"))
    except FileNotFoundError:
        pass  # the one that listed
"""
    lock = tmp_path / "runner.lock"
    lock_fd = os.open(lock, os.O_RDWR | os.O_CREAT)
    pipe_fds = os.pipe()
    prompt_fd = process.open_prompt(b"secret")
    with lock.open("rb"), socket.socket() as open_socket:
        ours = [lock_fd, *pipe_fds, prompt_fd, open_socket.fileno()]
        links = {target_of(fd) for fd in ours}
        theirs = run(code, stdin=null, env={}, cwd=tmp_path).decode().splitlines()
    for fd in (lock_fd, *pipe_fds, prompt_fd):
        os.close(fd)
    assert os.devnull in theirs, "its own stdin is listed, so the listing works"
    assert len(links) == 4, "the two ends of a pipe are one link"
    assert links.isdisjoint(theirs)


def test_a_program_that_is_not_there_is_an_error_with_its_name(tmp_path: Path, null: int) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        process.spawn(["/no/such"], cwd="/", env={}, stdin=null, stdout=null, stderr=null)
    assert caught.value.filename == "/no/such"
    (tmp_path / "file").write_text("no program")
    with pytest.raises(PermissionError):
        process.spawn(
            [str(tmp_path / "file")], cwd="/", env={}, stdin=null, stdout=null, stderr=null
        )


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGHUP])
def test_no_signal_is_ignored_in_a_process_because_we_ignore_it(
    tmp_path: Path, null: int, number: signal.Signals
) -> None:
    """Python ignores SIGPIPE and SIGXFSZ; the CLI and its shells must not inherit that."""
    read_status = "print([l for l in open('/proc/self/status') if l.startswith('SigIgn')][0])"
    shell = f'exec {sys.executable} -S -c "{read_status}"'
    with tempfile.TemporaryFile() as out:
        argv = ["sh", "-c", f"grep SigIgn /proc/$$/status; {shell} > /dev/null"]
        fds = {"stdin": null, "stdout": out.fileno(), "stderr": null}
        env = {b"PATH": os.environb[b"PATH"]}
        assert reap(process.spawn(argv, cwd=str(tmp_path), env=env, **fds)) == 0
        out.seek(0)
        ignored = int(out.read().split()[1], 16)
    assert not ignored & 1 << (number - 1)


def test_a_folder_that_is_not_there_is_an_error_with_its_name(tmp_path: Path, null: int) -> None:
    gone = str(tmp_path / "gone")
    with pytest.raises(FileNotFoundError) as caught:
        process.spawn([sys.executable], cwd=gone, env={}, stdin=null, stdout=null, stderr=null)
    assert caught.value.filename == gone


# -- prompts ----------------------------------------------------------------------------------


def test_a_prompt_of_five_mebibytes_reaches_the_process_whole(tmp_path: Path) -> None:
    prompt = os.urandom(5 * 2**20)
    code = """
import hashlib, sys
data = sys.stdin.buffer.read()
print(len(data), hashlib.sha256(data).hexdigest())
"""
    fd = process.open_prompt(prompt)
    said = run(code, stdin=fd, env={}, cwd=tmp_path).decode().split()
    os.close(fd)
    assert said == [str(len(prompt)), hashlib.sha256(prompt).hexdigest()]


# -- identity ---------------------------------------------------------------------------------


def test_a_process_keeps_its_start_time_and_another_has_another(begin: Begin) -> None:
    first, mine = waiting(begin), process.start_time(os.getpid())
    assert mine is not None and mine == process.start_time(os.getpid())
    began = process.start_time(first.pid)
    assert began is not None and began == process.start_time(first.pid) != mine


def test_a_zombie_and_a_process_that_never_was_have_no_start_time(begin: Begin) -> None:
    child = waiting(begin)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert Path(f"/proc/{child.pid}").exists(), "nobody has reaped it: a zombie"
    assert process.start_time(child.pid) is None
    reap(child.pid)
    assert process.start_time(child.pid) is None
    assert process.start_time(2**22 + 1) is None


def test_a_name_with_brackets_and_spaces_hides_no_start_time(begin: Begin) -> None:
    rename = f"open('/proc/self/comm', 'w').write('a) Z 1 (b')\n{WAIT}"
    child = begin(sys.executable, "-S", "-c", rename)[0]
    stat = Path(f"/proc/{child.pid}/stat").read_text()
    assert "(a) Z 1 (b)" in stat
    assert process.start_time(child.pid) == stat.rpartition(")")[2].split()[19]


# -- ending -----------------------------------------------------------------------------------


def test_a_sweep_ends_the_whole_tree_wherever_it_hid(begin: Begin, attempt_token: str) -> None:
    children = begin("sh", "-c", TREE, token=attempt_token, reports=4)
    sessions = {os.getsid(child.pid) for child in children}
    assert len(sessions) == 2, "one of them has a session of its own"
    assert process.sweep([attempt_token]) == 4
    for child in children:
        child.wait()
    assert reap(children[0].pid) == -signal.SIGKILL
    assert process.sweep([attempt_token]) == 0, "nothing is left"


def test_ending_the_group_misses_what_left_it_and_the_sweep_does_not(
    begin: Begin, attempt_token: str
) -> None:
    children = begin("sh", "-c", TREE, token=attempt_token, reports=4)
    leader = children[0].pid
    strayed = [child for child in children if os.getpgid(child.pid) != leader]
    assert len(strayed) == 1
    process.kill_group(leader)
    for child in children:
        if child not in strayed:
            child.wait()
    assert strayed[0].alive
    assert process.sweep([attempt_token]) == 1
    strayed[0].wait()


def test_a_sweep_leaves_every_other_process_alone(begin: Begin, attempt_token: str) -> None:
    mine = waiting(begin, attempt_token)
    others = [
        waiting(begin, f"{uuid.uuid4()}/task@1"),
        waiting(begin),
        waiting(begin, attempt_token + "0"),
        waiting(begin, attempt_token[:-1]),
        waiting(begin, "x" + attempt_token),
        waiting(begin, attempt_token.upper()),
    ]
    assert process.sweep([attempt_token]) == 1
    mine.wait()
    assert [child.alive for child in others] == [True] * len(others)


def test_attempts_one_and_eleven_are_not_confused(begin: Begin) -> None:
    session = uuid.uuid4()
    first, eleventh = waiting(begin, f"{session}/a@1"), waiting(begin, f"{session}/a@11")
    assert process.sweep([f"{session}/a@1"]) == 1
    first.wait()
    assert eleventh.alive


def test_a_sweep_takes_many_tokens_at_once(begin: Begin) -> None:
    tokens = [f"{uuid.uuid4()}/a@1" for _ in range(3)]
    children = [waiting(begin, one) for one in tokens]
    assert process.sweep(tokens[:2]) == 2
    children[0].wait()
    children[1].wait()
    assert children[2].alive


def test_a_token_that_is_only_in_the_arguments_is_not_enough(
    begin: Begin, attempt_token: str
) -> None:
    argument = f"{TOKEN_VARIABLE}={attempt_token}"
    child = begin(sys.executable, "-S", "-c", WAIT, argument, token="another")[0]
    assert process.sweep([attempt_token]) == 0
    assert child.alive


def test_a_sweep_for_nothing_ends_nothing(begin: Begin) -> None:
    child = waiting(begin, "")
    assert process.sweep([]) == 0
    assert child.alive


def test_a_sweep_never_ends_the_one_who_sweeps(
    tmp_path: Path, null: int, attempt_token: str
) -> None:
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from cpr_nb.runner.process import sweep
print(sweep([{attempt_token!r}]))
"""
    env = {TOKEN_VARIABLE.encode(): attempt_token.encode()}
    assert run(code, stdin=null, env=env, cwd=tmp_path) == b"0\n"


def test_a_process_that_is_gone_can_be_signalled_without_an_error(begin: Begin) -> None:
    child = waiting(begin)
    process.signal_process(child.pid, signal.SIGKILL)
    child.wait()
    process.signal_process(child.pid, signal.SIGTERM)
    process.kill_group(child.pid)
    reap(child.pid)
    process.signal_process(child.pid, signal.SIGTERM)
    process.kill_group(child.pid)


@pytest.mark.parametrize("pid", [-1, 0, 2**70, pytest.param(os.getpid(), id="own")])
def test_what_carries_no_token_is_not_opened(pid: int) -> None:
    """A journal may name any number."""
    before = sorted(Path("/proc/self/fd").iterdir())
    assert process.open_marked(pid, "no-session/task@1") is None
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_where_proc_shows_other_pids_nobody_is_found_or_killed(begin: Begin) -> None:
    """In a PID namespace that mounted no /proc of its own."""
    if why_not():
        pytest.skip(why_not())
    (child,) = begin(sys.executable, "-c", WAIT, token="s/f/a@1")
    code = (
        f"import sys; sys.path.append({str(Path(process.__file__).parents[2])!r})\n"
        "from cpr_nb.runner import process as p\n"
        f"found = p.find_marked('s/f/'), p.open_marked({child.pid}, 's/f/a@1')\n"
        "print(p.sees_processes(), *found, p.sweep(['s/f/a@1']))"
    )
    here = ["unshare", "--pid", "--fork", sys.executable, "-I", "-c", code]
    assert subprocess.check_output(here, text=True) == "False {} None 0\n"
    assert child.alive and list(process.find_marked("s/f/")) == ["s/f/a@1"]
