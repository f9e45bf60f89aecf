"""Every guard of the boundary, how it is taken out, and the test that fails then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_ROW = "tests/boundary/test_boundary.py::test_nothing_ran_or_was_deleted_or_escaped"


@dataclass(frozen=True)
class Guard:
    """One guard.

    Args:
        name: What it holds.
        file: The module that it is in, below the package.
        before: Its source: once in the module.
        after: What stands there when it is taken out.
        test: The test that fails then.
    """

    name: str
    file: str
    before: str
    after: str
    test: str

    def taken_out(self, source: str) -> str:
        """The module without the guard.

        Raises:
            ValueError: If the guard is not in it, or not only once.
        """
        if source.count(self.before) != 1:
            n_times = source.count(self.before)
            raise ValueError(f"{self.name}: {self.before!r} stands {n_times} times in {self.file}")
        return source.replace(self.before, self.after)


def row(attack: str, interface: str) -> str:
    """The test of one row of the table."""
    return f"{_ROW}[{attack}: {interface}]"


GUARDS = [
    Guard(
        "the seal of a session",
        "store/seal.py",
        "return match is not None and _are_equal(match.group(1), _seal(key, before))",
        "return match is not None",
        row("a sent results directory", "cpr retry"),
    ),
    Guard(
        "a session of mine is in session.json alone, not behind a link",
        "store/authorship.py",
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "os.O_RDONLY | os.O_NONBLOCK",
        "tests/store/test_seal.py::test_a_link_in_place_of_session_json_is_not_followed",
    ),
    Guard(
        "the sum of session.json on the runner's stdin",
        "runner/session_spec.py",
        "if total.hexdigest() != self._sha256_hex:",
        "if not total:",
        "tests/store/test_seal.py::test_a_runner_takes_no_other_session_json_than_the_checked_one",
    ),
    Guard(
        "the comparison of a task's line",
        "runner/session_spec.py",
        "if not self._is_launched(number, line):",
        "if not line:",
        "tests/store/test_seal.py::test_a_runner_runs_no_line_that_has_changed_since",
    ),
    Guard(
        "a key that others may read is no key",
        "store/key.py",
        "if status.st_mode & 0o077:",
        "if not status.st_mode:",
        "tests/store/test_seal.py::test_a_key_that_others_may_know_is_refused",
    ),
    Guard(
        "rules keep the tools of agents off",
        "runner/command.py",
        "kept_off = off_limits.tool_rules() if off_limits else ()",
        "kept_off = ()",
        row("an agent at its own controls", "edits"),
    ),
    Guard(
        "commands in the sandbox can't write results and state",
        "runner/off_limits.py",
        '"denyWrite": [*self.unwritable(), *state]',
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
        "in the sandbox .git is read-only",
        "runner/starter.py",
        "filter(None, git_dirs)",
        "()",
        row("a sandboxed agent", ".git of its worktree"),
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
