"""Whether a lock that looks free proves that no runner lives: every case, as a table."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from cpr_nb.store.whereabouts import Whereabouts, boot_id, does_lock_prove, file_system_of

HERE, THERE = "boot-here", "boot-there"


@pytest.mark.parametrize(
    ("file_system", "boot", "runner_file_system", "proves"),
    [
        # The same boot: one kernel knows of all its locks, in all containers.
        ("ext4", HERE, "ext4", True),
        ("nfs4", HERE, "nfs4", True),
        ("fuse.sshfs", HERE, "overlay", True),
        ("nfs4", HERE, "", True),
        # Another boot of a disk of this machine: after a reboot nobody holds a lock.
        ("ext4", THERE, "ext4", True),
        ("overlay", THERE, "xfs", True),
        ("apfs", THERE, "apfs", True),
        ("ext4", THERE, "", True),
        ("", THERE, "ext4", True),
        ("fuseblk", THERE, "ntfs3", True),
        # A network file system: another machine may hold it.
        ("nfs", THERE, "nfs", False),
        ("nfs4", THERE, "nfs4", False),
        ("nfs4", THERE, "", False),
        ("cifs", THERE, "smb3", False),
        ("fuse.sshfs", THERE, "fuse.sshfs", False),
        ("fuse", THERE, "fuse", False),
        ("9p", THERE, "9p", False),
        ("virtiofs", THERE, "virtiofs", False),
        ("lustre", THERE, "lustre", False),
        ("smbfs", THERE, "apfs", False),
        # This machine is the server: its own disk, which the runner sees over the network.
        ("ext4", THERE, "nfs4", False),
        # The runner is on the server.
        ("nfs4", THERE, "ext4", False),
        # Nobody knows the boot of the runner.
        ("ext4", "", "", True),
        ("nfs4", "", "", False),
    ],
)
def test_a_free_lock_proves_something_unless_another_machine_may_hold_it(
    file_system: str, boot: str, runner_file_system: str, proves: bool
) -> None:
    here = Whereabouts("a", HERE, file_system)
    for name in ("a", "b"):  # names prove nothing: a container has another one each time
        assert does_lock_prove(here, Whereabouts(name, boot, runner_file_system)) is proves


@pytest.mark.parametrize(("file_system", "proves"), [("ext4", True), ("", True), ("nfs4", False)])
def test_without_runner_json_the_own_file_system_decides(file_system: str, proves: bool) -> None:
    assert does_lock_prove(Whereabouts("a", HERE, file_system), None) is proves


@pytest.mark.parametrize("value", [None, 7, [], {}])
def test_nothing_in_runner_json_is_trusted_to_be_text(value: object) -> None:
    runner = Whereabouts.of_runner({"host": value, "boot_id": value, "file_system": value})
    assert runner is not None
    assert (runner.host, runner.boot_id, runner.file_system) == ("", "", "")
    assert Whereabouts.of_runner({}) is None


def test_this_machine_is_known(tmp_path: Path) -> None:
    here = Whereabouts.here(str(tmp_path))
    assert here.host == os.uname().nodename
    assert uuid.UUID(here.boot_id)
    assert here.boot_id == boot_id()


def test_the_file_system_is_that_of_the_folder(tmp_path: Path) -> None:
    assert file_system_of("/proc") == "proc"
    assert file_system_of("/sys") == "sysfs"
    link = tmp_path / "link"
    link.symlink_to("/proc")
    assert file_system_of(str(link)) == "proc"
    assert file_system_of(str(tmp_path / "none")) == ""
