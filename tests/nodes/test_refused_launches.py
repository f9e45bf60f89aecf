"""Options of many machines that can't be right: one line, nothing created, nothing called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from testkit.command import Cpr, prompts
from testkit.stub import Stub, plan

SSH = ("--executor", "ssh:h1")
REFUSED = {
    "nodes without executor": (
        ("--nodes", "2"),
        "nodes: means something only where tasks run on nodes: pass",
    ),
    "slots of this machine": (
        ("--executor", "local", "--slots", "2"),
        "slots: means something only",
    ),
    "lease of this machine": (("--lease-s", "60"), "lease_s: means something only"),
    "a short lease": ((*SSH, "--lease-s", "1"), "lease_s: must be at least 2 seconds"),
    "nodes of ssh": ((*SSH, "--nodes", "2"), "nodes: ssh has a node for each host"),
    "nodes of agents": (("--executor", "agents", "--nodes", "2"), "nodes: nothing places"),
    "no engine": (("--executor", "kubernetes"), "executor: must be one of"),
    "a client as text": (("--executor", "dask"), "executor: 'dask' needs a client of Dask"),
    "a sandbox": ((*SSH, "--permissions", "sandbox"), "a sandbox hides the folders"),
    "adding without an engine": (("add", "x"), "write cpr nodes SESSION, or cpr nodes add"),
    "adding to the list": (("x", "ssh:h1"), "write cpr nodes SESSION, or cpr nodes add"),
    "slots of the list": (("x", "--slots", "2"), "write cpr nodes SESSION, or cpr nodes add"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_one_line(case: str, stub_cpr: Cpr, stub: Stub) -> None:
    flags, words = REFUSED[case]
    command = "run" if flags[0].startswith("--") else "nodes"
    before = sorted(stub_cpr.cwd.rglob("*"))
    done = stub_cpr(command, *flags, stdin=prompts({"prompt": plan()}))
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "") and words in line, line
    assert sorted(stub_cpr.cwd.rglob("*")) == before
    assert stub.calls() == {}


def test_a_repository_can_not_choose_machines_and_the_users_own_file_can(
    stub_cpr: Cpr, work: Path
) -> None:
    (work / "pyproject.toml").write_text('[tool.cpr]\nexecutor = "ssh:h1"\n')
    text = prompts({"prompt": plan()})
    done = stub_cpr("run", "--dry-run", "--json", stdin=text)
    assert done.returncode == 2 and "executor: is not allowed here" in done.stderr
    (work / "pyproject.toml").unlink()
    own = Path(stub_cpr.env["HOME"]) / ".config" / "cpr"
    own.mkdir(parents=True)
    (own / "config.toml").write_text('executor = "agents"\nslots = 3\n')
    (row,) = json.loads(stub_cpr.good("run", "--dry-run", "--json", stdin=text))
    assert (row["executor"], row["slots"]) == ("agents", 3)
    (row,) = json.loads(
        stub_cpr.good("run", "--dry-run", "--json", "--executor", "ssh:h1", stdin=text)
    )
    assert row["executor"] == "ssh:h1"
    assert not (work / "results").exists()


def test_without_pyzmq_a_line_says_what_to_install(stub_cpr: Cpr, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'zmq' else real(name, *rest)\n"
    )
    stub_cpr.env["PYTHONPATH"] = str(tmp_path)
    done = stub_cpr("run", "--executor", "agents", stdin=prompts({"prompt": plan()}))
    assert done.returncode == 2
    assert "executor: agents: needs pyzmq: pip install 'cpr_nb[cluster]'" in done.stderr
