"""Hosts and a Slurm in namespaces are what they seem to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import hosts, slurm
from testkit.command import script
from testkit.host_place import await_truth
from testkit.hosts import Hosts
from testkit.slurm import Slurm

from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin"


@pytest.fixture
def three(tmp_path: Path, claude: str) -> Iterator[tuple[Hosts, ScriptedApi]]:
    """Three hosts, from which an API can be reached."""
    if words := hosts.why_not():
        pytest.skip(words)
    env = cli_environment("http://127.0.0.1:9", "/root", path=PATH)
    made = Hosts(tmp_path, 3, env, [Path(claude).parent], clock_shift_s={"h3": 3600})
    with made:
        with made.network():
            api = ScriptedApi()
        with api:
            made.forward(api.port)
            made.env["ANTHROPIC_BASE_URL"] = api.url
            made.boot()
            yield made, api


@pytest.mark.slow
@pytest.mark.real_cli
def test_hosts_have_a_disk_an_address_and_a_cable_of_their_own(
    three: tuple[Hosts, ScriptedApi], claude: str
) -> None:
    made, api = three
    names = [made.run("h1", "ssh", name, "uname -n").stdout.strip() for name in ("h2", "h3")]
    assert names == ["h2", "h3"]
    boots = {made.run(name, "cat", "/proc/sys/kernel/random/boot_id").stdout for name in made.names}
    assert len(boots) == 3
    up = [float(made.run(name, "cat", "/proc/uptime").stdout.split()[0]) for name in ("h1", "h3")]
    assert up[1] - up[0] > 3000
    refused = made.run("h1", "touch", "/etc/anything", check=False)
    assert "Read-only file system" in refused.stderr

    prompt = script({"text": "from far away"})
    words = f"{claude} -p --output-format json --permission-mode bypassPermissions"
    said = json.loads(made.run("h1", "ssh", "h2", words, stdin=prompt).stdout)
    assert said["result"] == "from far away"
    assert api.requests

    reach = ("timeout", "1", "bash", "-c", "head -c 4 < /dev/tcp/h2/22")
    await_truth("network", lambda: made.run("h1", *reach, check=False).stdout == "SSH-")
    made.cut("h2")
    assert made.run("h1", *reach, check=False).stdout == ""
    made.mend("h2")
    await_truth("network", lambda: made.run("h1", *reach, check=False).stdout == "SSH-")

    made.run("h2", "sh", "-c", "echo kept > /root/file; setsid sleep 1000 >/dev/null 2>&1 &")
    await_truth("sleep", lambda: made.pids("h2", "sleep 1000"))
    made.power_cut("h2")
    assert made.path("h2", "/root/file").read_text() == "kept\n"
    made.boot("h2")
    assert made.run("h2", "cat", "/root/file").stdout == "kept\n"
    assert made.pids("h2", "sleep 1000") == []
    assert made.run("h2", "cat", "/proc/sys/kernel/random/boot_id").stdout not in boots


@pytest.mark.slow
def test_a_frozen_host_stands_still(three: tuple[Hosts, ScriptedApi]) -> None:
    made, _ = three
    log = made.folder / "ticks.log"
    ticker = made.start("h2", "sh", "-c", "while :; do echo x; sleep 0.01; done", log=log)
    await_truth("ticks", lambda: log.stat().st_size)
    made.freeze("h2")
    size = log.stat().st_size
    assert made.run("h1", "ssh", "h3", "sleep 0.2; uname -n").stdout == "h3\n"
    assert log.stat().st_size == size
    made.thaw("h2")
    await_truth("ticks", lambda: log.stat().st_size > size)
    made.power_cut("h2")
    ticker.wait()


@pytest.mark.slow
@pytest.mark.skipif(not slurm.is_here(), reason="its packages are those of Debian 12")
def test_slurm_runs_a_job_with_the_environment_of_a_login(tmp_path: Path) -> None:
    if words := slurm.why_not():
        pytest.skip(words)
    env = cli_environment("http://127.0.0.1:9", "/root", path=PATH)
    with Hosts(tmp_path, 2, env, [slurm.programs()], shared_home=True) as made:
        made.boot()
        with Slurm(made, "h1", ["h2"]) as bed:
            words = ("--parsable", "--export=NONE", "--no-requeue", "-o", "/root/out")
            job = bed("sbatch", *words, "--wrap", "uname -n; env; exec sleep 1000")
            out = made.path("h1", "/root/out")
            await_truth("output", lambda: out.exists() and "SLURM_JOB_ID" in out.read_text())
            assert bed.jobs() == {job: "h2"}
            bed("scancel", job)
            await_truth("end", lambda: bed.job(job) == "CANCELLED")
            lines = out.read_text().splitlines()
            assert lines[0] == "h2"
            # --export=NONE is not "no environment": Slurm asks a login shell for one.
            assert "ANTHROPIC_API_KEY=dummy" in lines
            await_truth("end of its processes", lambda: not made.pids("h2", "sleep 1000"))
