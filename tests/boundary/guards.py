"""Every guard of the boundary, how it is taken out, and the test that fails then."""

from __future__ import annotations

from boundary.guard import Guard, row
from boundary.worktree_guards import WORKTREE_GUARDS

GUARDS = [
    *WORKTREE_GUARDS,
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
    Guard(
        "what a repository says to run needs trust",
        "launching/settings.py",
        "    if repository.is_trusted:\n",
        "    if repository:\n",
        row("a cloned repository", "cpr run, check"),
    ),
    Guard(
        "what no repository may set",
        "launching/settings.py",
        "    for name in _refused(table):\n",
        "    for name in ():\n",
        row("a cloned repository", "cpr run, claude_path"),
    ),
    Guard(
        "--setting-sources where a repository is not trusted",
        "runner/command.py",
        'argv = ["--setting-sources=user"]',
        "argv: list[str] = []",
        row("a cloned repository", "agents of the real CLI"),
    ),
    Guard(
        "the rules for the CLI's own tools",
        "runner/command.py",
        "kept_off = off_limits.tool_rules() if off_limits else ()",
        "kept_off = ()",
        row("an agent at its own controls", "edits"),
    ),
    Guard(
        "the rules for commands in the sandbox",
        "runner/command.py",
        'opened["filesystem"] = off_limits.sandbox_filesystem(wanted.get("filesystem", {}))',
        "pass",
        row("an agent at its own controls", "sandbox"),
    ),
    Guard(
        ".git is read-only in the sandbox",
        "runner/starter.py",
        "return OffLimits(folder, self._paths.root, self._state_dir, filter(None, git_dirs))",
        "return OffLimits(folder, self._paths.root, self._state_dir)",
        row("an agent at its own controls", "sandbox"),
    ),
]
