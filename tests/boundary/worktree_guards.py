"""The guards of worktrees and of the journal: what a session's folder says decides nothing."""

from __future__ import annotations

from boundary.guard import Guard, row

CONFIRMING = "tests/worktrees/test_confirming.py"


def refused(forgery: str) -> str:
    """The test that a worktree's record is refused if it is forged in this way."""
    return f"{CONFIRMING}::test_a_record_that_does_not_fit_is_refused[{forgery}]"


WORKTREE_GUARDS = [
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
]
