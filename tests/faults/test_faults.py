"""No fault loses a task, and none runs twice: a small sample of ``tests/faults/run.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import shared_points
from faults.catalog import FAULTS
from faults.points import kill_points
from faults.real import real_points
from faults.rows_causes import waiting_points
from faults.table import CannotInjectError, Fault
from faults.world import World

pytestmark = pytest.mark.slow

N_POINTS = 4
SINGLE = [
    pytest.param(fault, id=fault.name, marks=[pytest.mark.real_cli] * fault.real)
    for fault in FAULTS
    if not fault.many
]


def check(fault: Fault, world: World) -> None:
    with world:
        try:
            tally = world.run(fault.inject)
        except CannotInjectError as error:
            pytest.skip(f"{fault.name}: {error}")
    assert (tally.lost, tally.twice, tally.wrong) == (0, 0, [])
    assert tally.injected and tally.tasks


@pytest.mark.parametrize("first", range(0, 24, N_POINTS))
def test_no_task_is_lost_or_runs_twice_wherever_the_runner_is_killed(
    first: int, tmp_path: Path, token: str
) -> None:
    check(Fault("points", "", kill_points), World(tmp_path, token, None, N_POINTS, first))


@pytest.mark.real_cli
@pytest.mark.parametrize("first", range(2))
def test_no_tool_of_the_real_cli_runs_twice_wherever_the_runner_is_killed(
    first: int, tmp_path: Path, token: str, claude: str
) -> None:
    check(Fault("real", "", real_points), World(tmp_path, token, claude, 1, first))


@pytest.mark.real_cli
def test_no_served_task_is_lost_or_runs_twice_wherever_the_runner_is_killed(
    tmp_path: Path, token: str, claude: str
) -> None:
    check(Fault("shared", "", shared_points.kill_points), World(tmp_path, token, claude, 6, 0))


@pytest.mark.parametrize("first", range(0, 8, N_POINTS))
def test_no_task_is_lost_or_runs_twice_if_the_runner_is_killed_while_it_waits(
    first: int, tmp_path: Path, token: str
) -> None:
    check(Fault("waiting", "", waiting_points), World(tmp_path, token, None, N_POINTS, first))


@pytest.mark.parametrize("fault", SINGLE)
def test_no_task_is_lost_or_runs_twice_because_of(
    fault: Fault, tmp_path: Path, token: str, request: pytest.FixtureRequest
) -> None:
    claude = request.getfixturevalue("claude") if fault.real else None
    check(fault, World(tmp_path, token, claude))
