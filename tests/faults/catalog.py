"""All the faults, in the order of the table."""

from __future__ import annotations

from faults import rows_agents as agents
from faults import rows_api as api
from faults import rows_causes as causes
from faults import rows_copies as copies
from faults import rows_disk as disk
from faults import rows_hosts as hosts
from faults import rows_nested as nested
from faults import rows_runner as runner
from faults import rows_saving as saving
from faults import rows_sharing as sharing
from faults import rows_small as small
from faults import shared_points as shared
from faults.points import kill_points
from faults.real import real_points
from faults.table import Fault

FAULTS = [
    Fault("kill-points", "runner killed (SIGKILL) at a random point", kill_points, many=True),
    Fault("real-points", "the same, agents are the real CLI", real_points, real=True, many=True),
    Fault("whole-tree", "runner and agents killed together", runner.whole_tree, real=True),
    Fault("reboot", "reboot", runner.reboot, real=True),
    Fault("sigterm", "SIGTERM to the runner", runner.told_to_stop, real=True),
    Fault(
        "second-sigterm", "a second SIGTERM (agent killed half-way: begun again)", runner.told_twice
    ),
    Fault("two-resumes", "four resumes at once", runner.two_resumes),
    Fault("cancel", "cancel without a runner", runner.cancelled_session, real=True),
    Fault("cancel-task", "cancel of a task without one", runner.cancelled_task, real=True),
    Fault("not-ours", "folder writable by others, or a link", runner.not_ours_alone, real=True),
    Fault("torn-journal", "last journal line torn", runner.torn_journal),
    Fault("lost-journal", "journal deleted, runner killed", runner.lost_journal),
    Fault("unwritten", "the same between two looks", runner.unwritten),
    Fault("lost-status", "status.json deleted or cut, runner killed", runner.lost_status),
    Fault("lost-lock", "runner.lock deleted", runner.lost_lock),
    Fault("renamed", "folder renamed and moved while agents work", hosts.renamed, real=True),
    Fault("removed-files", "rm task-* while agents work", hosts.removed_files, real=True),
    Fault("machine-lost", "its machine dies; seen from others", hosts.machine_lost, real=True),
    Fault("machine-nodes", "the same; its nodes live on", hosts.nodes_outlive_it, real=True),
    Fault("forced", "taken over by force while it runs elsewhere", hosts.forced, real=True),
    Fault("namespaces", "runners in several PID namespaces", copies.namespaces, real=True),
    Fault("unseen", "cancel of an agent in another one", copies.cancelled, real=True),
    Fault("container", "container (cpr is its PID 1) killed, started", copies.container, real=True),
    Fault("copied", "folder copied (cp -a) while agents work", copies.copied, real=True),
    Fault("woken", "its machine stands still, and wakes too late", hosts.woken, real=True),
    Fault("woken-nodes", "its runner stands still, its hub not", hosts.woken_with_nodes, real=True),
    Fault("disk-full", "disk nearly full", disk.in_a_namespace("disk-full"), real=True),
    Fault("disk-brim", "disk full to the last byte", disk.in_a_namespace("disk-brim"), real=True),
    Fault("read-only", "read-only mount", disk.in_a_namespace("read-only"), real=True),
    Fault("answer", "a folder in an answer's place", disk.answer_is_a_folder, real=True),
    Fault("burst", "429 and 529 for a while", api.burst, real=True),
    Fault("usage-limit", "usage limit, with its reset", api.usage_limit, real=True),
    Fault("login", "login lost (401)", api.lost_login, real=True),
    Fault("key", "key not valid (401)", api.bad_key, real=True),
    Fault("connection", "connection refused, then back", api.refused_connection, real=True),
    Fault("structure", "structure missing in the answer", api.missing_structure, real=True),
    Fault("silence", "an agent falls silent", agents.silence, real=True),
    Fault("first-byte", "an agent never begins", agents.no_first_byte, real=True),
    Fault("timeout", "an agent does not end", agents.timeout, real=True),
    Fault("suspended", "machine suspended", agents.suspended),
    Fault("daemons", "children that keep the output open", agents.daemons, real=True),
    Fault("git-away", "git directory away, garbage in a HEAD", saving.git_away, real=True),
    Fault(
        "stopped",
        "runner stopped (SIGSTOP); pause and cancel wait",
        small.stopped_runner,
        real=True,
    ),
    Fault("killed-launch", "a launch killed (SIGKILL)", small.killed_launch),
    Fault("same-ids", "the same ids again, with worktrees", small.same_ids),
    Fault(
        "upgrade",
        "pip replaces cpr under a session; the venv is deleted",
        saving.upgrade,
        real=True,
    ),
    Fault("waiting-points", "runner killed while it waits", causes.waiting_points, many=True),
    Fault("cli-away", "the CLI's file is away for a while", causes.program_away),
    Fault("cli-written", "the CLI's file is being written", causes.program_written),
    Fault("folder-away", "working folder away for a while", causes.folder_away),
    Fault("processes", "no more processes", causes.few_processes),
    Fault("bad-start", "the CLI ends at its start, always with the same words", causes.bad_start),
    Fault(
        "damaged-configuration",
        ".claude.json damaged while agents work",
        causes.damaged_configuration,
        real=True,
    ),
    Fault(
        "shared-points",
        "runner killed (SIGKILL) at a random point, shared processes",
        shared.kill_points,
        real=True,
        many=True,
    ),
    Fault(
        "shared-brim",
        "disk full to the last byte, shared processes",
        disk.in_a_namespace("shared-brim"),
        real=True,
    ),
    Fault(
        "shared-journal",
        "journal deleted, runner killed, shared processes",
        shared.lost_journal,
        real=True,
    ),
    Fault("shared-killed", "a shared process killed in a task", shared.process_killed, real=True),
    Fault("shared-burst", "429 and 529, shared processes", sharing.burst, real=True),
    Fault("shared-limit", "usage limit, shared processes", sharing.usage_limit, real=True),
    Fault("shared-cancel", "cancel of a served task", sharing.cancelled_task, real=True),
    Fault("shared-server", "a served task leaves a server", sharing.left_server, real=True),
    Fault("hidden-work", "work that the outer git does not see", nested.hidden_work, real=True),
]
