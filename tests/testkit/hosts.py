"""Hosts on one Linux machine: each has its own address, name, processes, disk, boot id and sshd.

A host is a process with namespaces of its own. Its network is a cable to a switch, which is a
bridge in a network namespace of its own: the machine's network is not touched. The machine's files
are read-only in it; /root, /home, /tmp and the like are its own disk, which is empty at first.
All of it ends with the process that made it, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import cpr_nb
from testkit import packages
from testkit.command import LIMIT_S, console_script
from testkit.host_place import Place

OWN = ("/root", "/home", "/tmp", "/var/tmp", "/run", "/dev/shm")
SWITCH = "10.77.0.254"  # of no meaning elsewhere: the hosts of two tests don't see each other
PACKAGES = ("openssh-server", "openssh-client", "libwrap0")
_PROGRAMS = ("unshare", "nsenter", "ip", "ssh-keygen", "socat")
_FILES = {
    "passwd": "root:x:0:0::/root:/bin/bash\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
    "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
    "shadow": "root:*:1::::::\nsshd:*:1::::::\nnobody:*:1::::::\n",
}


def why_not() -> str:
    """Why there can be no hosts here; empty if there can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"there is no {', '.join(missing)}"
    return packages.why_not() if os.geteuid() == 0 else "only root can have hosts"


class Hosts:
    """Hosts h1, h2, …; they exist inside of ``with``.

    Args:
        folder: Where their disks are.
        n: How many.
        env: What sshd gives to each command, and `command`, too; its HOME is /root.
        visible: Folders of the machine that they see, read-only, beside the running Python and
            the project.
        shared_home: They have one /root, as a cluster's machines often do.
        clock_shift_s: Name → by how much its clocks since the boot are ahead.
    """

    def __init__(
        self,
        folder: Path,
        n: int,
        env: Mapping[str, str],
        visible: Sequence[Path] = (),
        *,
        shared_home: bool = False,
        clock_shift_s: Mapping[str, int] | None = None,
    ) -> None:
        self.folder, self.env = folder, {**env, "HOME": "/root", "USER": "root"}
        self.names = [f"h{number}" for number in range(1, n + 1)]
        self.address = {name: f"10.77.0.{number}" for number, name in enumerate(self.names, 1)}
        self.ports: list[int] = []
        self._shared_home, self._clock_shift_s = shared_home, dict(clock_shift_s or {})
        project = Path(cpr_nb.__file__).parents[1]
        self.common = folder / "common"
        seen = {*visible, self.common, Path(sys.prefix), Path(sys.base_prefix), project}
        seen.add(Path(console_script()).parent)
        self._visible = sorted(str(path) for path in seen if str(path).startswith(OWN))
        self._places: dict[str, Place] = {}

    def __enter__(self) -> Self:
        self._packages = packages.unpacked("sshd", PACKAGES)
        if str(self._packages).startswith(OWN):
            self._visible.append(str(self._packages))
        for folder in (self.common, self.folder / "etc", self.folder / "disk"):
            folder.mkdir(parents=True, exist_ok=True)
        key = self.common / "key"
        packages.output(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hosts", "-f", str(key)]
        )
        public = key.with_name("key.pub").read_text()
        known = "".join(f"{name},{self.address[name]} {public}" for name in self.names)
        (self.common / "known").write_text(known)
        lines = "".join(f"{self.address[name]} {name}\n" for name in self.names)
        for name, text in {**_FILES, "hosts": f"127.0.0.1 localhost\n{lines}"}.items():
            (self.folder / "etc" / name).write_text(text)
        try:
            self._place("switch")
            self._begin("switch")
            for order in ("add br0 type bridge", "set br0 up", "set lo up"):
                self._net("switch", "link", *order.split())
            self._net("switch", "addr", "add", f"{SWITCH}/24", "dev", "br0")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for name in list(self._places):
            self._places.pop(name).end()

    # -- one host -----------------------------------------------------------------------------

    def boot(self, *names: str) -> None:
        """Starts hosts, with the disks that they had; all of them if none is named."""
        names = names or tuple(self.names)
        for name in names:
            place = self._place(name)
            cable = f"{name} type veth peer name eth0 netns {place.pid} address".split()
            mac = f"02:77:00:00:00:{self.names.index(name) + 1:02x}"
            self._net("switch", "link", "add", *cable, mac)
            for order in (f"set {name} master br0", f"set {name} up"):
                self._net("switch", "link", *order.split())
            for order in ("set lo up", "set eth0 up"):
                self._net(name, "link", *order.split())
            self._net(name, "addr", "add", f"{self.address[name]}/24", "dev", "eth0")
            place.go()
        for name in names:
            self._places[name].await_word("ready")

    def cut(self, name: str) -> None:
        """Pulls its cable."""
        self._net("switch", "link", "set", name, "down")

    def mend(self, name: str) -> None:
        """Puts it back."""
        self._net("switch", "link", "set", name, "up")

    def power_cut(self, name: str) -> None:
        """Its end, of which no packet tells; the disk stays."""
        self.cut(name)
        self._places.pop(name).end()
        # The kernel takes the cable with the namespace, but later.
        with contextlib.suppress(OSError):
            self._net("switch", "link", "del", name)

    def freeze(self, name: str) -> None:
        """Stops all its processes at once, as a paused virtual machine."""
        self._places[name].set_frozen(1)

    def thaw(self, name: str) -> None:
        """Lets them go on."""
        self._places[name].set_frozen(0)

    def path(self, name: str, path: str) -> Path:
        """Where a file of its own disk is, seen from outside."""
        for own in OWN:
            if path == own or path.startswith(f"{own}/"):
                return self._disk(name, own) / path[len(own) + 1 :]
        raise ValueError(f"{path} is not on the disk of {name}")

    def _disk(self, name: str, own: str) -> Path:
        if own == "/root" and self._shared_home:
            return self.folder / "disk" / "home"
        return self.folder / "disk" / name / own[1:].replace("/", "-")

    # -- commands -----------------------------------------------------------------------------

    def argv(self, name: str, *argv: str) -> list[str]:
        """What runs a command on a host, in its own environment."""
        spaces = ["-n", "-u", "-i", "-p", "-m", *["-T"] * (name in self._clock_shift_s)]
        own = [f"{key}={value}" for key, value in self.env.items()]
        inside = ["env", "-i", *own, "sh", "-c", 'cd && exec "$@"', "sh", *argv]
        return self._places[name].argv(*inside, spaces=spaces)

    def run(
        self, name: str, *argv: str, stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on a host; its failure is an error, unless it is allowed."""
        done = subprocess.run(
            self.argv(name, *argv),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if check and done.returncode:
            raise OSError(f"{name}: {argv}: {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def start(self, name: str, *argv: str, log: Path) -> subprocess.Popen[bytes]:
        """Starts a command on a host; the caller ends it."""
        with log.open("ab") as out:
            return subprocess.Popen(
                self.argv(name, *argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def pids(self, name: str, words: str) -> list[int]:
        """The processes of a host, by their pids outside, whose command line has these words."""
        space, found = _space(self._places[name].pid), []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if words in line and _space(int(entry.name)) == space:
                    found.append(int(entry.name))
        return sorted(found)

    # -- networks -----------------------------------------------------------------------------

    def network(self) -> AbstractContextManager[None]:
        """Sockets that this thread makes meanwhile are in the network of the switch."""
        return self._places["switch"].network()

    def forward(self, port: int) -> None:
        """127.0.0.1:port of the switch is 127.0.0.1:port of each host that boots from now on.

        The way is the host's own cable: a cut cuts this, too.
        """
        self.ports.append(port)
        log = self.folder / f"forward-{port}.log"
        listen = f"TCP-LISTEN:{port},bind={SWITCH},fork,reuseaddr"
        inside = ["socat", listen, f"TCP:127.0.0.1:{port}"]
        with log.open("ab") as out:
            relay = subprocess.Popen(
                self._places["switch"].argv(*inside, spaces=["-n", "-p"]),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        # It ends with the switch, and somebody must bury it.
        threading.Thread(target=relay.wait, daemon=True).start()

    def _net(self, name: str, *words: str) -> None:
        pid = str(self._places[name].pid)
        packages.output(["nsenter", "--target", pid, "-n", "ip", *words])

    # -- first processes ----------------------------------------------------------------------

    def _place(self, name: str) -> Place:
        settings, boot_id = self.folder / f"{name}.json", self.folder / f"boot-id-{name}"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        for own in OWN if name != "switch" else ():
            disk = self._disk(name, own)
            disk.mkdir(parents=True, exist_ok=True)
            disk.chmod(0o1777 if own in ("/tmp", "/var/tmp", "/dev/shm") else 0o755)
            if own == "/root":  # for a login shell, such as Slurm's
                lines = [f"export {key}={shlex.quote(value)}" for key, value in self.env.items()]
                (disk / ".bash_profile").write_text("\n".join(lines) + "\n")
        etc = [[f"/etc/{path.name}", str(path)] for path in (self.folder / "etc").iterdir()]
        text = {
            "name": name,
            "address": self.address.get(name, ""),
            "switch": SWITCH,
            "common": str(self.common),
            "packages": str(self._packages),
            "boot_id": str(boot_id),
            "own": [[own, str(self._disk(name, own))] for own in OWN if Path(own).is_dir()],
            "files": [pair for pair in etc if Path(pair[0]).is_file()],
            "visible": self._visible,
            "read_only": self._visible,
            "ports": self.ports,
            "env": {**self.env, "PATH": self.env["PATH"]},
        }
        settings.write_text(json.dumps(text))
        place = Place(name, settings, self._clock_shift_s.get(name, 0))
        self._places[name] = place
        return place

    def _begin(self, name: str) -> None:
        self._places[name].go()
        self._places[name].await_word("ready")


def _space(pid: int) -> str:
    """What names the PID namespace of a process."""
    return str(Path(f"/proc/{pid}/ns/pid").readlink())
