"""The guards that keep a task from running twice on nodes, and others off the wire."""

from __future__ import annotations

from boundary.guard import Guard

_TEST = "tests/executors/test_never_twice.py::test_"
_HEARS_NOTHING = f"{_TEST}a_node_agent_that_hears_nothing_ends_its_task_before_another_begins"

GUARDS = [
    Guard(
        "the lease of a node: the hub waits for its end",
        "nodes/timing.py",
        "return self.lease_s + self.grace_s",
        "return self.silent_s",
        _HEARS_NOTHING,
    ),
    Guard(
        "the lease of a node: its node agent keeps it",
        "nodes/node_agent.py",
        "self._lease_end = sent_at + self._times.lease_s",
        'self._lease_end = float("inf")',
        _HEARS_NOTHING,
    ),
    Guard(
        "a lost node: its life is not let in again",
        "nodes/lease_book.py",
        "        if record.state in (LOST, LEFT):\n"
        '            self._send(identity, {"type": "gone"})\n'
        "            return\n",
        "",
        f"{_TEST}what_a_lost_node_tells_later_is_not_believed",
    ),
    Guard(
        "the token of an attempt on a node: it has the attempt's number",
        "runner/starter.py",
        'return f"{self.mark}{task_id}@{number}"',
        'return f"{self.mark}{task_id}"',
        f"{_TEST}what_is_left_of_an_attempt_is_ended_and_the_next_one_goes_on",
    ),
    Guard(
        "the twin of a node agent: it sweeps",
        "nodes/twin.py",
        "    process.sweep((), lives=marks(life, n_marks))\n    return True\n",
        "    return True\n",
        f"{_TEST}what_a_killed_node_agent_has_started_is_ended_by_its_twin",
    ),
    Guard(
        "the twin of a node agent: it keeps the lease, too",
        "nodes/twin.py",
        "            process.sweep((), lives=marks(life, n_marks))\n            lease_end",
        "            lease_end",
        f"{_TEST}the_twin_of_a_node_agent_that_stands_still_ends_its_task",
    ),
    Guard(
        "the death of a node agent and its twin: the kernel kills the CLI (PDEATHSIG)",
        "nodes/node_shell.py",
        '["setpriv", "--pdeathsig", "KILL"] if LINUX else []',
        "[]",
        f"{_TEST}a_task_dies_with_a_node_agent_whose_twin_is_killed_too",
    ),
]
