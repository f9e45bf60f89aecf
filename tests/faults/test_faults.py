"""No fault loses a task, and none runs twice: a small sample of ``tests/faults/run.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.points import kill_points
from faults.table import CannotInjectError, Fault
from faults.world import World

N_POINTS = 4


def sound(fault: Fault, world: World) -> None:
    with world:
        try:
            tally = fault.inject(world)
        except CannotInjectError as error:
            pytest.skip(f"{fault.name}: {error}")
    assert (tally.lost, tally.twice, tally.wrong) == (0, 0, [])
    assert tally.injected and tally.tasks


@pytest.mark.parametrize("first", range(0, 24, N_POINTS))
def test_no_task_is_lost_when_the_runner_is_killed_at_any_point(
    first: int, tmp_path: Path, token: str
) -> None:
    world = World(tmp_path, token, None, N_POINTS, first)
    sound(Fault("kill-points", "", kill_points), world)
