"""What the engines start, where, and with what: programs that stand in for those of others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cpr_nb.executors import placing
from cpr_nb.executors.placing import Joining
from cpr_nb.executors.slurm import SlurmEngine
from cpr_nb.executors.ssh import SshEngine
from cpr_nb.model.errors import InputError, LaunchError
from cpr_nb.store.layout import SessionPaths

KEYS = '{"secret": "the-key"}'
SESSION = "0b9d6f0e-8e52-4c2c-9a55-3f3d1c4a2b11"


@pytest.fixture
def joining(tmp_path: Path) -> Joining:
    paths = SessionPaths(str(tmp_path / "session"))
    Path(paths.root).mkdir()
    Path(paths.join).write_text(KEYS)
    return Joining(paths, SESSION, 4)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Makes a program on PATH that notes its arguments and its stdin, and then runs a script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")

    def make(name: str, script: str) -> Path:
        calls = tmp_path / name
        path = folder / name
        path.write_text(
            f'#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done >>{calls}.argv\n'
            f"{script}\n"
        )
        path.chmod(0o755)
        return calls

    return make


def lines(calls: Path, kind: str = "argv") -> list[str]:
    return calls.with_suffix(f".{kind}").read_text().splitlines()


def test_sbatch_gets_no_key_no_environment_and_no_second_run(
    joining: Joining, programs: Callable[[str, str], Path], tmp_path: Path
) -> None:
    calls = programs("sbatch", f"cat >{tmp_path}/sbatch.stdin; echo '17;cluster'")
    programs("squeue", "printf 'PENDING\\nPENDING\\n'")
    user = ["--partition=long", "--expor=ALL", "--req"]
    SlurmEngine(user).check(2)
    placed = SlurmEngine(user).place(joining, 2)
    argv, script = lines(calls), "\n".join(lines(calls, "stdin"))
    assert argv[: len(user)] == user, "the user's own come first, so ours win"
    ours = argv[len(user) :]
    assert {"--no-requeue", "--export=NONE", "--signal=B:TERM@120", "--array=0-1"} <= {*ours}
    assert f"--job-name=cpr-{SESSION}" in ours
    assert "exec " in script and joining.paths.join in script and "--slots 4" in script
    assert "the-key" not in script + "".join(argv)
    assert (placed.n_placed, placed.state()) == (2, placing.QUEUED)
    programs("squeue", "printf 'PENDING\\nRUNNING\\n'")
    assert placed.state() == placing.STARTED
    assert SlurmEngine().n_missing(joining, 5) == 3
    programs("squeue", "echo 'Invalid job id specified' >&2; exit 1")
    assert placed.state() == placing.ENDED


def test_the_last_line_of_a_jobs_log_says_why_it_left(
    joining: Joining, programs: Callable[[str, str], Path]
) -> None:
    programs("sbatch", "cat >/dev/null; echo 17")
    placed = SlurmEngine().place(joining, None)
    Path(joining.paths.root, "node-17_0.log").write_text("begun\nno way to 10.0.0.1:4000\n\n")
    assert placed.last_words() == ["no way to 10.0.0.1:4000"]


def test_what_sbatch_refuses_is_one_line(
    joining: Joining, programs: Callable[[str, str], Path]
) -> None:
    programs("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    with pytest.raises(LaunchError, match=r"^sbatch has refused .* partition specified: x$"):
        SlurmEngine().place(joining, None)


def test_a_machine_without_slurm_or_ssh_is_refused(
    programs: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InputError, match="no sbatch on PATH"):
        SlurmEngine().check(None)
    with pytest.raises(InputError, match="no ssh on PATH"):
        SshEngine(["h1"]).check(None)
    programs("ssh", "")
    with pytest.raises(InputError, match="a node for each host"):
        SshEngine(["h1"]).check(2)


# Runs here what it was to run there, in a shell with another PATH and HOME.
_THERE = 'while [ "$1" != -- ]; do shift; done; shift 2; env -i HOME={home} PATH={path} sh -c "$1"'


def test_ssh_gives_the_keys_on_stdin_and_leaves_an_agent_behind(
    joining: Joining,
    programs: Callable[[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path / "there"
    home.mkdir()
    monkeypatch.setattr("sys.executable", str(tmp_path / "nowhere" / "python"))
    (home / ".profile").write_text(f"PATH={home}:$PATH; export TMPDIR={home}\n")
    agent = home / "cpr"
    os.mkfifo(home / "started")
    agent.write_text(f'#!/bin/sh\ncat >{home}/stdin; echo "$@" >{home}/started; echo left: $$\n')
    agent.chmod(0o755)
    calls = programs("ssh", _THERE.format(home=home, path=os.defpath))
    placed = SshEngine(["me@h1"]).place(joining, None)
    assert (home / "started").read_text() == "agent - --name h1 --slots 4\n"
    assert (home / "stdin").read_text() == KEYS + "\n"
    assert "the-key" not in "".join(lines(calls))
    assert "BatchMode=yes" in lines(calls)
    assert (placed.n_placed, placed.failures) == (1, [])
    (log,) = home.glob("cpr-agent-*")
    assert log.stat().st_mode & 0o077 == 0


def test_a_host_that_can_not_be_reached_or_has_no_cpr_is_named(
    joining: Joining, programs: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    there = _THERE.format(home="/nowhere", path=os.defpath)
    script = (
        'case "$*" in *"-- h1 "*) echo "ssh: connect to host h1: refused" >&2; exit 255;; esac\n'
    )
    programs("ssh", script + there)
    with pytest.raises(LaunchError) as refused:
        SshEngine(["h1", "h2"]).place(joining, None)
    first, second = str(refused.value).split("; ", 1)
    assert first == "h1: ssh: connect to host h1: refused"
    assert second.startswith("h2: there is no command cpr on PATH, and no /nowhere/cpr")


def test_the_command_of_an_agent_has_nothing_secret(joining: Joining) -> None:
    argv = placing.agent_argv(joining.paths.join, "n1", None)
    assert argv[1] == "-I" and argv[-3:] == [joining.paths.join, "--name", "n1"]
    assert "the-key" not in json.dumps(argv)
