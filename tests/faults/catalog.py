"""All the faults, in the order of the table."""

from __future__ import annotations

from faults import rows_runner as runner
from faults.points import kill_points
from faults.real import real_points
from faults.table import Fault

FAULTS = [
    Fault("kill-points", "runner killed (SIGKILL) at a random point", kill_points, many=True),
    Fault("real-points", "the same, agents are the real CLI", real_points, real=True, many=True),
    Fault("whole-tree", "runner and agents killed together", runner.whole_tree, real=True),
    Fault("reboot", "reboot", runner.reboot, real=True),
    Fault("sigterm", "SIGTERM to the runner", runner.told_to_stop, real=True),
    Fault("second-sigterm", "a second SIGTERM", runner.told_twice),
    Fault("two-resumes", "four resumes at once", runner.two_resumes),
    Fault("cancel", "cancel without a runner", runner.cancelled_session, real=True),
    Fault("cancel-task", "cancel of a task without one", runner.cancelled_task, real=True),
    Fault("not-ours", "folder writable by others, or a link", runner.not_ours_alone, real=True),
    Fault("torn-journal", "last journal line torn", runner.torn_journal),
    Fault("lost-journal", "journal deleted, runner killed", runner.lost_journal),
    Fault("unwritten", "the same between two looks", runner.unwritten),
    Fault("lost-status", "status.json deleted or cut, runner killed", runner.lost_status),
    Fault("lost-lock", "runner.lock deleted", runner.lost_lock),
    Fault("lost-folder", "session's folder removed", runner.removed_folder),
]
