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
        "an untrusted repository's files are not among the CLI's sources",
        "runner/command.py",
        'argv = ["--setting-sources=user"]',
        "argv = list[str]()",
        row("a cloned repository", "cpr run --cwd"),
    ),
    Guard(
        "a repository's files for Claude Code need trust",
        "launching/setting_sources.py",
        "return [] if is_known and repository.is_trusted else files",
        "return []",
        row("a cloned repository", "cpr run --cwd"),
    ),
    Guard(
        "the deny rules of such files hold",
        "launching/setting_sources.py",
        "            if rules:",
        "            if not rules:",
        row("a cloned repository", "cpr run --cwd"),
    ),
    Guard(
        "a worktree's files are those of its commit",
        "launching/setting_sources.py",
        "files = committed_files(folder, base, here) if base else here",
        "files = here",
        row("a cloned repository", "cpr run --worktree"),
    ),
    Guard(
        "[tool.cpr] says nothing to run before it is trusted",
        "launching/settings.py",
        "    if asked:",
        "    if asked is None:",
        row("a cloned repository", "cpr run"),
    ),
    Guard(
        "[tool.cpr] allows nothing before it is trusted",
        "launching/settings.py",
        "return set(wanted), [",
        "return set(), [",
        "tests/test_repository_trust.py::"
        "test_what_could_allow_something_is_left_out_and_said[allow = ['Bash']]",
    ),
    Guard(
        "a repository can't undo what the user's own settings forbid",
        "launching/settings.py",
        'merged["deny"] = [*own["deny"], *table["deny"]]',
        'merged["deny"] = table["deny"]',
        "tests/test_repository_trust.py::"
        "test_a_repository_cannot_undo_what_the_users_own_settings_forbid",
    ),
    Guard(
        "results are not led out of a repository",
        "launching/repository_trust.py",
        "is_inside and os.path.realpath(place) == place",
        "is_inside",
        "tests/test_repository_trust.py::test_results_are_not_led_out_of_the_repository[link/r]",
    ),
    Guard(
        "trust in a repository is for its place",
        "launching/repository_trust.py",
        'content = ["cpr repository 1", self.top, self.claims, files]',
        'content = ["cpr repository 1", self.claims, files]',
        "tests/test_repository_trust.py::test_the_same_table_elsewhere_is_not_trusted",
    ),
    Guard(
        "a folder is no worktree of a repository that does not name it",
        "launching/claude_files.py",
        "names_us = os.path.realpath(back) == os.path.realpath(mark)",
        "names_us = True",
        "tests/test_claude_files.py::test_a_folder_that_claims_to_be_a_worktree_is_its_own_project",
    ),
]
