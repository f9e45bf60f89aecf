"""Node agents beside the stub, for the tests of sessions on nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.command import Cpr
from testkit.node_agents import NodeAgents


@pytest.fixture
def nodes(stub_cpr: Cpr, tmp_path: Path) -> Iterator[NodeAgents]:
    """Node agents, which keep their spools below the test's folder."""
    spool = tmp_path / "spool"
    spool.mkdir()
    env = {**stub_cpr.env, "TMPDIR": str(spool)}
    with NodeAgents(Cpr(stub_cpr.cwd, env), tmp_path / "logs") as nodes:
        yield nodes
