"""All the faults, in the order of the table."""

from __future__ import annotations

from faults.points import kill_points
from faults.real import real_points
from faults.table import Fault

FAULTS = [
    Fault("kill-points", "runner killed (SIGKILL) at a random point", kill_points),
    Fault("real-points", "the same, agents are the real CLI", real_points, real=True),
]
