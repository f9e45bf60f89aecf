"""Guards of repositories inside a worktree, and of what a session tells of the user's own."""

from __future__ import annotations

from boundary.guard import Guard, row

NESTED = "tests/worktrees/test_nested.py"
PROGRAMS = "tests/worktrees/test_nested_programs.py"

GUARDS = [
    Guard(
        "adding keeps out of repositories inside a worktree",
        "worktrees/staging.py",
        "inside = [*(link.name for link in gitlinks(self.git)), *nested]",
        "inside = [*nested]",
        f"{PROGRAMS}::test_no_program_of_a_repository_inside_runs[False]",
    ),
    Guard(
        "comparing keeps out of repositories inside a worktree",
        "worktrees/git_command.py",
        "if args[0] not in COMPARING:",
        "if args[0]:",
        f"{PROGRAMS}::test_no_program_of_a_repository_inside_runs[False]",
    ),
    Guard(
        "a worktree that an agent made is read with its own git directory",
        "worktrees/elsewhere.py",
        "Git(place.path, git_dir=place.admin_dir)",
        "Git(place.path)",
        f"{PROGRAMS}::test_no_program_of_a_repository_runs_that_is_in_place_of_another_worktree",
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
