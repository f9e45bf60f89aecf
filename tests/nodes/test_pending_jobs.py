"""At the end of a session on Slurm: jobs that still wait are cancelled, by their name alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cpr_nb.runner.remote.pending_jobs import cancel_pending_jobs

SESSION = {"session_id": "0b9d6f0e-8e52-4c2c-9a55-3f3d1c4a2b11", "executor": "slurm"}


def test_scancel_gets_the_name_and_no_variable_of_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = tmp_path / "called"
    os.mkfifo(called)
    scancel = tmp_path / "scancel"
    scancel.write_text(f'#!/bin/sh\n(echo "$@"; env) >{called}\n')
    scancel.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("A_SECRET", "the-value")
    cancel_pending_jobs(SESSION)
    words, *environ = called.read_text().splitlines()
    os.wait()
    assert words == f"--quiet --state=PENDING --name=cpr-{SESSION['session_id']}"
    assert "SLURM_CONF=/etc/slurm.conf" in environ
    assert "the-value" not in "".join(environ)


def test_other_sessions_and_machines_without_slurm_start_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    cancel_pending_jobs(SESSION)
    monkeypatch.setattr(os, "posix_spawnp", None)
    cancel_pending_jobs({**SESSION, "executor": "ssh"})
