"""Guards of repositories: what they say to run needs trust."""

from __future__ import annotations

from boundary.guard import Guard, row

GUARDS = [
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
        row("a cloned repository", "cpr run, check"),
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
        "files that came after the launch need trust at a resume",
        "launching/resume.py",
        "    check_sources(spec, environ)\n",
        "",
        row("a cloned repository", "cpr resume, hooks since the launch"),
    ),
]
