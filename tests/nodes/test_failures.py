"""No broken machine loses a task or lets one run twice: a sample of ``tests/nodes/run.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.table import CannotInjectError
from testkit import slurm

from nodes.catalog import ROWS, Row

pytestmark = [pytest.mark.slow, pytest.mark.real_cli]

#: Row → with how many tasks.
SAMPLE = {
    "dask-agent": 24,
    "cut": 8,
    **({"slurm-scancel-linuxproc": 8} if slurm.is_here() else {}),
}


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("hosts")  # each of them takes all cores
@pytest.mark.parametrize(
    ("row", "n_tasks"),
    [pytest.param(row, SAMPLE[row.name], id=row.name) for row in ROWS if row.name in SAMPLE],
)
def test_no_task_is_lost_or_runs_twice(
    row: Row, n_tasks: int, tmp_path: Path, token: str, claude: str
) -> None:
    names = [f"t{number}" for number in range(n_tasks)]
    try:
        with row.cluster(tmp_path, token, claude) as cluster:
            tally = row.play(cluster, names)
    except CannotInjectError as error:
        pytest.skip(f"{row.name}: {error}")
    assert (tally.lost, tally.twice, tally.wrong) == (0, 0, [])
    assert tally.injected and tally.tasks == n_tasks
