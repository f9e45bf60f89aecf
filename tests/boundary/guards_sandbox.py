"""Guards of agents in the sandbox, and of the sandbox in which check and set-up run."""

from __future__ import annotations

from boundary.guard import Guard, row

GUARDS = [
    Guard(
        "commands in the sandbox can't write results and state",
        "runner/off_limits.py",
        '"denyWrite": [*self.unwritable(), *state, *config]',
        '"denyWrite": []',
        row("an agent at its own controls", "sandbox"),
    ),
    Guard(
        "commands in the sandbox can't read the key",
        "runner/off_limits.py",
        '"denyRead": state',
        '"denyRead": []',
        row("an agent at its own controls", "sandbox"),
    ),
    Guard(
        "settings can't open the state directory",
        "runner/off_limits.py",
        "if not self._opens(path, state)",
        "if path",
        row("settings that open the sandbox", "sandbox"),
    ),
    Guard(
        "settings can't switch the sandbox of files off",
        "runner/off_limits.py",
        '"disabled": False',
        '"disabled": wanted.get("disabled", False)',
        row("settings that open the sandbox", "sandbox"),
    ),
    Guard(
        "the check of a sandboxed task has a sandbox",
        "runner/starter.py",
        'if options.get("permissions") == "sandbox":',
        'if options.get("permissions") == "none":',
        row("a sandboxed agent", "its check"),
    ),
    Guard(
        "that sandbox hides the key",
        "store/bubblewrap.py",
        "for path in hidden:",
        "for path in ():",
        "tests/runner/test_sandboxed_check.py::test_it_writes_in_its_folder_only",
    ),
    Guard(
        "that sandbox makes nothing that programs run of a folder",
        "store/bubblewrap.py",
        "for path in _stand_ins(folder):",
        "for path in ():",
        "tests/runner/test_sandboxed_check.py::test_it_writes_in_its_folder_only",
    ),
    Guard(
        "that sandbox opens no Unix sockets",
        "store/bubblewrap.py",
        "_AF_UNIX = 1",
        "_AF_UNIX = 1000",
        "tests/runner/test_sandboxed_check.py::test_it_has_no_network_and_no_unix_sockets",
    ),
    Guard(
        "a set-up that goes on has a sandbox",
        "worktrees/setup.py",
        'return job.permissions == "sandbox" and',
        'return job.permissions == "none" and',
        "tests/worktrees/test_sandboxed_setup.py::test_it_writes_in_the_worktree_only",
    ),
    Guard(
        "a machine without that sandbox is refused",
        "launching/combinations.py",
        'if mode == "sandbox" and ("check" in options or "setup" in options):',
        'if mode == "none":',
        "tests/runner/test_sandboxed_check.py"
        "::test_a_machine_that_cannot_do_it_is_refused_before_the_launch",
    ),
]
