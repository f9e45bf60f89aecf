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


CONFIRMING = "tests/worktrees/test_confirming.py"
NESTED = "tests/worktrees/test_nested.py"


def refused(forgery: str) -> str:
    """The test that a worktree's record is refused if it is forged in this way."""
    return f"{CONFIRMING}::test_a_record_that_does_not_fit_is_refused[{forgery}]"


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
    Guard(
        "1: the repository is that of the folder of the launch",
        "worktrees/own_repository.py",
        "if common_dir == os.path.realpath(claimed):",
        "if common_dir:",
        refused("another_repository"),
    ),
    Guard(
        "1: the repository belongs to the user",
        "worktrees/discovery.py",
        "if not is_mine(path):",
        "if not path:",
        f"{CONFIRMING}::test_the_repository_of_another_user_is_refused",
    ),
    Guard(
        "1: the repository is whole",
        "worktrees/discovery.py",
        'if not os.path.isfile(os.path.join(common_dir, "HEAD")):',
        "if not common_dir:",
        refused("without_head"),
    ),
    Guard(
        "1: the repository is not led to another one",
        "worktrees/discovery.py",
        "if has_redirection or not (git_dir == common_dir or is_linked):",
        "if not git_dir:",
        refused("redirected"),
    ),
    Guard(
        "1: the repository is in no results directory",
        "worktrees/own_repository.py",
        "if is_in_results:",
        "if not common_dir:",
        refused("in_another_session"),
    ),
    Guard(
        "1: the repository is in no worktree of a task",
        "worktrees/own_repository.py",
        "if admin_dir is not None and records.read_mark(admin_dir):",
        "if admin_dir is None and not place:",
        refused("in_a_worktree"),
    ),
    Guard(
        "2: the git directory of a worktree is in the repository",
        "worktrees/confirm_steps.py",
        'if not _is_same(parent, f"{repository.common_dir}/worktrees") or name in _NO_NAMES:',
        "if not parent and not name:",
        refused("admin_elsewhere"),
    ),
    Guard(
        "2: it is no link",
        "worktrees/confirm_steps.py",
        "if not _is_own_folder(worktree.admin_dir):",
        "if not worktree.admin_dir:",
        refused("admin_is_link"),
    ),
    Guard(
        "3: no link leads to the folder",
        "worktrees/confirm_steps.py",
        "if os.path.realpath(path) != path:",
        "if not path:",
        refused("folder_behind_link"),
    ),
    Guard(
        "3: the folder belongs to the user",
        "worktrees/confirm_steps.py",
        "if not _is_own_folder(path):",
        "if not path:",
        f"{CONFIRMING}::test_a_folder_that_the_user_no_longer_owns_is_refused",
    ),
    Guard(
        "3: the folder holds nothing that is needed",
        "worktrees/confirm_steps.py",
        "if is_within(place, path):",
        "if not place:",
        refused("folder_holds_results"),
    ),
    Guard(
        "4: the repository names the folder",
        "worktrees/confirm_steps.py",
        'if name != ".git" or not _is_same(folder, worktree.path):',
        "if not worktree.path:",
        refused("plain_folder"),
    ),
    Guard(
        "4: the git directory of the worktree names the repository",
        "worktrees/confirm_steps.py",
        "if common_dir_of(worktree.admin_dir) != repository.common_dir:",
        "if not worktree.path:",
        refused("admin_of_another_repository"),
    ),
    Guard(
        "4: the folder has a link",
        "worktrees/confirm_steps.py",
        "    if admin_dir is None:\n",
        "    if admin_dir is None:\n        return\n    if not admin_dir:\n",
        refused("replaced_by_folder"),
    ),
    Guard(
        "4: the folder names its repository",
        "worktrees/confirm_steps.py",
        "if not _is_same(admin_dir, worktree.admin_dir):",
        "if not admin_dir:",
        refused("linked_to_another"),
    ),
    Guard(
        "5: the repository's record of the branch names the task",
        "worktrees/confirm_steps.py",
        "if record is None or not record.belongs_to(owner.session_id, owner.task_id):",
        "if not branch:",
        refused("branch_of_the_user"),
    ),
    Guard(
        "5: the worktree is marked",
        "worktrees/confirm_steps.py",
        "    if not mark:\n",
        "    if not mark:\n        return\n    if not claim:\n",
        refused("worktree_of_the_user"),
    ),
    Guard(
        "5: its mark names the task",
        "worktrees/confirm_steps.py",
        "if not claim.owner.is_task(marked.session_id, marked.task_id):",
        "if not marked.session_id:",
        refused("worktree_of_another_task"),
    ),
    Guard(
        "6: git lists the folder",
        "worktrees/removing.py",
        "        check_registered(worktree, repository)\n",
        "        pass\n",
        f"{CONFIRMING}::test_what_git_does_not_list_stays",
    ),
    Guard(
        "a worktree is confirmed before it goes",
        "worktrees/removing.py",
        "        confirm_worktree(claim, repository)\n",
        "        pass\n",
        f"{CONFIRMING}::test_nothing_goes_that_is_not_confirmed",
    ),
    Guard(
        "a folder that was moved aside is confirmed before it goes",
        "worktrees/removing.py",
        "    confirm_aside(aside, worktree, repository)\n",
        "",
        f"{CONFIRMING}::test_a_folder_that_was_moved_aside_is_confirmed_by_its_link",
    ),
    Guard(
        "a foreign session is not looked at",
        "worktrees/task_branch.py",
        "if not authorship.is_ours:",
        "if not authorship.spec:",
        row("a sent results directory", "Session.worktrees_df"),
    ),
    Guard(
        "an own session is looked at where the repository confirms it",
        "worktrees/task_branch.py",
        "        confirm_worktree(claim, repository)\n",
        "        pass\n",
        row("a forged worktree record", "Session.worktrees_df"),
    ),
    Guard(
        "a branch with rescued work is one of the task's",
        "worktrees/cleaning.py",
        "if is_rescued_branch(rescued, own)",
        "if rescued",
        row("a forged worktree record", "a branch of the user's as a rescued one"),
    ),
    Guard(
        "git is not run where only status.json says so",
        "launching/reuse.py",
        "_repository(_own_folder(snapshot))",
        '_repository(str(snapshot.head.get("cwd")))',
        row("a folder that only status.json names", "cpr.launch, reuse"),
    ),
    Guard(
        "what is harvested is the task's",
        "worktrees/harvest.py",
        "    confirm_content(Claim(worktree, job.owner), repository)\n",
        "",
        f"{CONFIRMING}::test_a_harvest_saves_nothing_of_a_folder_that_only_its_record_names",
    ),
    Guard(
        "where a task goes on is confirmed",
        "worktrees/prepare.py",
        "        confirm_worktree(Claim(worktree, job.owner), own)\n",
        "",
        f"{CONFIRMING}::test_an_agent_never_starts_in_a_folder_that_only_its_record_names",
    ),
    Guard(
        "a commit in a record is a commit",
        "worktrees/worktree.py",
        "return worktree if is_commit else",
        "return worktree if is_commit or worktree else",
        f"{CONFIRMING}::test_a_commit_in_a_record_is_no_option_of_git",
    ),
    Guard(
        "after a restart a checkout is asked for",
        "runner/task_steps.py",
        "if plan.worktree and not attempt.is_prepared:",
        "if plan.worktree and not attempt.has_worktree:",
        row("a forged journal", "resume, a task with a worktree"),
    ),
    Guard(
        "after a restart the checkout of a check is asked for",
        "runner/effects.py",
        'if kind == "check" and self._must_prepare(task):',
        "if not kind:",
        row("a forged journal", "resume, the check of an agent that lives"),
    ),
    Guard(
        "only a process with our token is adopted",
        "runner/process.py",
        'if f"{TOKEN_VARIABLE}={token}".encode() in _environment(pid):',
        "if token:",
        row("a forged journal", "cancel, a process of somebody else's"),
    ),
    Guard(
        "adding keeps out of repositories inside a worktree",
        "worktrees/staging.py",
        "inside = [*(link.name for link in gitlinks(self.git)), *nested]",
        "inside = [*nested]",
        f"{NESTED}::test_no_program_of_a_repository_inside_runs[False]",
    ),
    Guard(
        "comparing keeps out of repositories inside a worktree",
        "worktrees/git_command.py",
        "if args[0] not in COMPARING:",
        "if args[0]:",
        f"{NESTED}::test_no_program_of_a_repository_inside_runs[False]",
    ),
    Guard(
        "a worktree that an agent made is read with its own git directory",
        "worktrees/elsewhere.py",
        "Git(place.path, git_dir=place.admin_dir)",
        "Git(place.path)",
        f"{NESTED}::test_no_program_of_a_repository_runs_that_is_in_place_of_another_worktree",
    ),
    Guard(
        "what an earlier task left in a repository inside counts as work",
        "worktrees/nested.py",
        'if first is None and not record["is_adopted"]:',
        "if True:",
        f"{NESTED}::test_work_from_before_a_retry_keeps_the_worktree_after_it",
    ),
    Guard(
        "a repository inside that leads elsewhere counts as work",
        "worktrees/nested.py",
        'if not git_dir.startswith(f"{os.path.realpath(common_dir)}/"):',
        "if not git_dir:",
        f"{NESTED}::test_work_in_a_submodule_is_known_by_its_files[another one]",
    ),
    Guard(
        "the repository is compared before our own git runs there",
        "runner/loop.py",
        "        self._compare_repositories()  # before our own git runs there\n",
        "",
        "tests/runner/test_repository_watch.py::test_a_harvest_comes_after_the_comparison",
    ),
    Guard(
        "a change of the repository is told",
        "runner/loop.py",
        "        self._recorder.warn(*self._effects.repositories.changes())",
        "        self._effects.repositories.changes()",
        row("the repository changed while a session ran", "warnings"),
    ),
]
