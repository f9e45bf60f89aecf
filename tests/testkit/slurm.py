"""A real Slurm on hosts (`testkit.hosts`), from Debian's packages (`testkit.packages`)."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from testkit import hosts, packages, processes
from testkit.command import LIMIT_S
from testkit.host_place import await_truth
from testkit.hosts import Hosts

_HOME = "/root/slurm"
# What is tested is how Slurm 22.05 behaves, which is the one of Debian 12.
PACKAGES = (
    *("slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "munge", "libmunge2"),
    *("patchelf", "libhwloc15", "libnuma1", "libjson-c5", "liblua5.1-0", "liblz4-1"),
)
_CONF = """ClusterName={name}
SlurmctldHost={controller}({address})
PluginDir={plugins}
AuthType=auth/munge
AuthInfo=socket=/run/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation=/root/slurm/state
SlurmdSpoolDir=/run/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=3,bf_interval=3
ReturnToService=2
MailProg=/bin/true
MpiDefault=none
SlurmdTimeout={slurmd_timeout_s}
KillWait={kill_wait_s}
"""


def is_here() -> bool:
    """Whether this is the system that its packages are made for."""
    release = Path("/etc/os-release")
    words = release.read_text().splitlines() if release.exists() else []
    return "ID=debian" in words and 'VERSION_ID="12"' in words


def why_not(proctrack: str = "linuxproc") -> str:
    """Why there can be no Slurm here; empty if there can."""
    if words := hosts.why_not():
        return words
    if not is_here():
        return "its packages are those of Debian 12"
    if proctrack == "cgroup" and not Path("/sys/fs/cgroup/freezer").is_dir():
        return "there is no freezer of cgroup v1"
    return ""


def programs() -> Path:
    """The folder with its programs, unpacked; the hosts must see it."""
    return packages.unpacked("slurm", PACKAGES, _patch)


def _patch(made: Path, home: Path) -> None:
    """Lets the binaries find their libraries in the folder that they will be in."""
    libraries = next(made.glob("usr/lib/*/slurm-wlm")).relative_to(made)
    for alternative in made.glob("usr/sbin/*-wlm"):
        alternative.rename(str(alternative).removesuffix("-wlm"))
    found = f"{home / libraries}:{home / libraries.parent}"
    for binary in [*made.glob("usr/sbin/*"), *made.glob("usr/bin/*")]:
        is_elf = not binary.is_symlink() and binary.read_bytes()[:4] == b"\x7fELF"
        if is_elf and binary.name != "patchelf":  # it can't patch itself
            # DT_RPATH, not RUNPATH: it holds for plugins, too. LD_LIBRARY_PATH would reach jobs.
            words = ["--force-rpath", "--set-rpath", found, str(binary)]
            packages.output([str(made / "usr/bin/patchelf"), *words])


class Slurm:
    """A Slurm; it exists inside of ``with``, and ends with its hosts. Its partition is ``main``.

    Args:
        hosts: They have one home, and see `programs`.
        controller: The host of slurmctld, on which the client commands run.
        nodes: The hosts with a slurmd.
        proctrack: How it tracks the processes of a job: ``linuxproc`` or ``cgroup``.
        slurmd_timeout_s: After which silence of a slurmd its node is down.
        kill_wait_s: The time between SIGTERM and SIGKILL.
    """

    def __init__(
        self,
        hosts: Hosts,
        controller: str,
        nodes: Sequence[str],
        proctrack: str = "linuxproc",
        slurmd_timeout_s: int = 10,
        kill_wait_s: int = 5,
    ) -> None:
        self.hosts, self.controller, self.nodes = hosts, controller, list(nodes)
        self._name, self._packages = "b" + secrets.token_hex(3), programs()
        self._settings = {
            "proctrack": proctrack,
            "slurmd_timeout_s": slurmd_timeout_s,
            "kill_wait_s": kill_wait_s,
        }
        self._daemons: dict[tuple[str, str], subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._write_files()
        try:
            for host in {self.controller, *self.nodes}:
                self.start("munged", host)
                socket = self.hosts.path(host, "/run/munge.socket")
                await_truth("munge", socket.exists)
            self.start("slurmctld", self.controller)
            for host in self.nodes:
                self.start("slurmd", host)
            self.await_idle()
        except BaseException:
            logs = sorted(self.hosts.folder.glob("slurm*.log"))
            words = [f"{log.name}: {log.read_text()[-600:]}" for log in logs]
            print(*words, sep="\n", file=sys.stderr)
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for job in self.jobs():
            self("scancel", job, check=False)
        await_truth("end of the jobs", lambda: not self.jobs())
        for daemon, host in list(self._daemons):
            self.kill(daemon, host)
        await_truth("end of the cgroups", self._remove_cgroups)

    def _write_files(self) -> None:
        address = self.hosts.address
        text = _CONF.format(
            name=self._name,
            controller=self.controller,
            address=address[self.controller],
            plugins=next(self._packages.glob("usr/lib/*/slurm-wlm")),
            **self._settings,
        )
        text += "".join(f"NodeName={node} NodeAddr={address[node]} CPUs=4\n" for node in self.nodes)
        text += f"PartitionName=main Nodes={','.join(self.nodes)} Default=YES MaxTime=INFINITE\n"
        folder = self.hosts.path(self.controller, _HOME)
        (folder / "state").mkdir(parents=True)
        (folder / "slurm.conf").write_text(text)
        groups = "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\n"
        (folder / "cgroup.conf").write_text(groups)
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)

    # -- daemons ------------------------------------------------------------------------------

    def start(self, daemon: str, host: str) -> None:
        """Starts munged, slurmctld or slurmd on a host, perhaps again."""
        folder = self._packages / "usr/sbin"
        words = {
            "munged": [
                *("--foreground", "--force", "--num-threads=2", f"--key-file={_HOME}/munge.key"),
                *("--socket=/run/munge.socket", "--log-file=/run/munge.log"),
                *("--pid-file=/run/munge.pid", "--seed-file=/run/munge.seed"),
            ],
            "slurmctld": ["-D", "-f", f"{_HOME}/slurm.conf"],
            "slurmd": ["-D", "-N", host, "-d", f"{folder}/slurmstepd", "-f", f"{_HOME}/slurm.conf"],
        }[daemon]
        log = self.hosts.folder / f"slurm-{daemon}-{host}.log"
        started = self.hosts.start(host, f"{folder}/{daemon}", *words, log=log)
        self._daemons[daemon, host] = started

    def kill(self, daemon: str, host: str) -> None:
        """Kills it (SIGKILL), and waits until it is gone."""
        for pid in self.hosts.pids(host, f"{self._packages}/usr/sbin/{daemon} "):
            processes.end(pid)
        self._daemons.pop((daemon, host)).wait(LIMIT_S)

    def await_idle(self) -> None:
        """Waits until slurmctld answers, and all nodes take jobs."""
        good = re.compile("idle|mix|alloc")

        def is_idle() -> bool:
            states = self("sinfo", "-hN", "-p", "main", "-o", "%t", check=False).split()
            return len(list(filter(good.fullmatch, states))) == len(self.nodes)

        await_truth("idle nodes", is_idle)

    # -- clients ------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The folder of sbatch, squeue and the like."""
        return f"{self._packages}/usr/bin"

    @property
    def env(self) -> dict[str, str]:
        """What a client needs, beside its PATH."""
        return {"SLURM_CONF": f"{_HOME}/slurm.conf"}

    def __call__(self, program: str, *words: str, check: bool = True) -> str:
        """What a client command says."""
        env = [f"{name}={value}" for name, value in self.env.items()]
        argv = ["env", *env, f"{self.path}/{program}", *words]
        return self.hosts.run(self.controller, *argv, check=check).stdout.strip()

    def job(self, number: str, key: str = "JobState") -> str:
        """A field of a job; empty for one that is not known."""
        text = self("scontrol", "show", "job", number, check=False)
        found = re.search(rf"\b{key}=(\S*)", text)
        return found[1] if found else ""

    def jobs(self) -> dict[str, str]:
        """The jobs that pend or run: id (of an array: 1_0) → node, empty for one that pends."""
        lines = self("squeue", "-h", "-r", "-o", "%i|%N").splitlines()
        return {number: node for number, _, node in (line.partition("|") for line in lines)}

    # -- its end ------------------------------------------------------------------------------

    def _remove_cgroups(self) -> bool:
        """A cgroup can go once its last process is reaped; v1 has one tree a controller."""
        found = [
            path
            for host in self.nodes
            for group in Path("/sys/fs/cgroup").glob(f"*/slurm*{host}*")
            for path in (*group.rglob("*/"), group)
        ]
        for path in sorted(found, reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        return not found
