"""Every option of a session and of a task, declared once as data.

The library's keywords, the command's flags, the keys of a prompts file, the columns of a
``.csv``, ``[tool.cpr]`` and the documentation all come from `OPTIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cpr_nb.model.destinations import NOTICE_OPTIONS

PERMISSIONS = ("read", "edits", "sandbox", "all")
EFFORTS = ("low", "medium", "high", "xhigh", "max")

# What `[tool.cpr]` of a repository may set: whoever wrote it could be anybody.
#: It can neither run nor allow anything, so it is used.
TAKEN = "taken"
#: It could allow something. It is not used until the user trusts the repository, and they are told.
LEFT_OUT = "left_out"
#: It could run something, or decides where agents work. Left out, a task would do less than was
#: asked, so a launch asks for trust first.
ASKS = "asks"
#: It could run anything, or hold a secret. It belongs on the command line, or in the user's own
#: settings.
REFUSED = "refused"


class Option:
    """One option.

    Args:
        name: The keyword; the flag is the same name with dashes.
        kind: text, choice, count, seconds, usd, share, moment, flag, command, notice, tools, rules,
            arguments, env, executor, schema, folder, folders, system_prompt, agents, mcp_servers,
            settings.
        help: One line for the user.
        per_task: Whether a single task may have its own.
        choices: The words of a ``choice``.
        minimum: The smallest ``count``.
        maximum: The largest ``count``; None for any.
        metavar: What the help calls the value.
        from_repository: What becomes of it in a repository's ``[tool.cpr]``: `TAKEN`, `LEFT_OUT`,
            `ASKS` or `REFUSED`.
    """

    __slots__ = (
        "choices",
        "from_repository",
        "help",
        "kind",
        "maximum",
        "metavar",
        "minimum",
        "name",
        "per_task",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        help: str,
        *,
        per_task: bool = True,
        choices: Sequence[str] = (),
        minimum: int = 1,
        maximum: int | None = None,
        metavar: str = "",
        from_repository: str = TAKEN,
    ) -> None:
        self.name = name
        self.kind = kind
        self.help = help
        self.per_task = per_task
        self.choices = tuple(choices)
        self.minimum = minimum
        self.maximum = maximum
        self.metavar = metavar
        self.from_repository = from_repository

    @property
    def flag(self) -> str:
        """The command's flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def is_list(self) -> bool:
        """Whether the flag may be repeated."""
        return self.kind in ("tools", "rules", "arguments", "env", "folders")


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option(
            "max_parallel",
            "count",
            "how many tasks run at once; 0 for no limit (default: what the cores carry, and more "
            "while tasks wait for the API and memory is free)",
            per_task=False,
            minimum=0,
            metavar="N",
        ),
        Option(
            "nice",
            "count",
            "how far agents and their commands give way to your own work where cores are short: "
            "from 0, not at all, to 19 (default: 5)",
            per_task=False,
            minimum=0,
            maximum=19,
            metavar="N",
        ),
        Option(
            "executor",
            "executor",
            "where tasks run: local (default), slurm[:SBATCH OPTIONS], ssh:HOST,HOST, or agents, "
            "which you start yourself with cpr agent; in Python also a client of Dask",
            per_task=False,
            metavar="WHERE",
            from_repository=REFUSED,
        ),
        Option(
            "nodes",
            "count",
            "how many nodes to ask Slurm or Dask for (default: 1 of Slurm, all workers of Dask)",
            per_task=False,
            metavar="N",
            from_repository=REFUSED,
        ),
        Option(
            "slots",
            "count",
            "how many tasks a node runs at once (default: what its cores and memory carry)",
            per_task=False,
            metavar="N",
            from_repository=REFUSED,
        ),
        Option(
            "lease_s",
            "seconds",
            "give the tasks of a node that is silent for this many seconds to others; until then "
            "nobody else runs them (default: 120)",
            per_task=False,
            from_repository=REFUSED,
        ),
        Option("name", "text", "a name for the session", per_task=False, metavar="NAME"),
        Option("model", "text", "the model: an alias (opus, sonnet) or a full name"),
        Option(
            "fallback_model",
            "text",
            "the model that answers where the first one is overloaded or not available",
            metavar="MODEL",
        ),
        Option("effort", "choice", "how hard the model thinks", choices=EFFORTS),
        Option(
            "permissions",
            "choice",
            "what an agent may do without asking: read, edits (default), sandbox, all",
            choices=PERMISSIONS,
            from_repository=LEFT_OUT,
        ),
        Option(
            "tools",
            "tools",
            "the built-in tools, exactly these, separated by commas; '' for none (default: those "
            "of the permissions); tools that --allow names are always there",
            metavar="NAMES",
            from_repository=LEFT_OUT,
        ),
        Option(
            "allow",
            "rules",
            "also allow this tool, such as 'Bash(pytest:*)'",
            metavar="RULE",
            from_repository=LEFT_OUT,
        ),
        Option(
            "ask",
            "flag",
            "let what the permissions would deny wait for a person: the live view, cpr watch and "
            "cpr answer",
            per_task=False,
            from_repository=LEFT_OUT,
        ),
        Option(
            "ask_s",
            "seconds",
            "deny what nobody has answered within this many seconds (default: 600)",
            per_task=False,
        ),
        Option("deny", "rules", "never allow this tool", metavar="RULE"),
        Option(
            "cwd",
            "folder",
            "the folder that agents work in (default: the current one)",
            from_repository=ASKS,
        ),
        Option(
            "add_dirs",
            "folders",
            "a further folder that agents may read, and edit where they may edit at all",
            from_repository=LEFT_OUT,
        ),
        Option(
            "worktree",
            "flag",
            "give each task a git worktree and a branch of its own",
        ),
        Option("base", "text", "where the branches begin (default: HEAD)", metavar="REV"),
        Option(
            "worktree_dir",
            "folder",
            "the folder for the worktrees (default: REPOSITORY-worktrees, beside the repository)",
            per_task=False,
            from_repository=ASKS,
        ),
        Option(
            "setup",
            "command",
            "a shell command that prepares a worktree before its agent starts; CPR_BRANCH and a "
            "free CPR_PORT are set",
            metavar="COMMAND",
            from_repository=ASKS,
        ),
        Option(
            "setup_timeout_s",
            "seconds",
            "end the setup command after this many seconds (default: 600)",
        ),
        Option("keep_worktrees", "flag", "keep each worktree after its task has ended"),
        Option(
            "schema",
            "schema",
            "a JSON schema for the answer: a file, or the JSON itself; on the command line also "
            "fields, such as 'bugs: int, level: low|high'",
        ),
        Option(
            "system_prompt",
            "system_prompt",
            'the system prompt, instead of Claude Code\'s own; {"append": "…"} adds to that one',
            metavar="TEXT|JSON",
        ),
        Option(
            "agents",
            "agents",
            "subagents that a task may start: name → description, prompt, tools, model …",
            from_repository=REFUSED,
        ),
        Option(
            "mcp_servers",
            "mcp_servers",
            "the MCP servers, these and no others; --allow mcp__NAME allows the tools of one",
            from_repository=REFUSED,
        ),
        Option(
            "settings",
            "settings",
            "settings of Claude Code, which go before those of its files; deny and the sandbox go "
            "before them",
            from_repository=REFUSED,
        ),
        Option(
            "safe_mode",
            "flag",
            "leave out all that is customised: CLAUDE.md, hooks, skills, plugins, subagents and "
            "MCP servers of the user and the project",
            from_repository=LEFT_OUT,
        ),
        Option(
            "light",
            "flag",
            "a question and its answer, for a twelfth of the tokens or less: no tools, no files, "
            "and no CLAUDE.md, hooks or plugins",
            from_repository=LEFT_OUT,
        ),
        Option("max_turns", "count", "end a task after N turns of the agent", metavar="N"),
        Option("timeout_s", "seconds", "end a task after this many seconds (default: never)"),
        Option(
            "silence_s",
            "seconds",
            "end a task that writes no event and runs no tool for this many seconds",
        ),
        Option(
            "login_wait_s",
            "seconds",
            "skip what is left if nobody logs in again within this many seconds (default: 12 "
            "hours; 10 minutes with --wait and no terminal)",
            per_task=False,
        ),
        Option(
            "machine_wait_s",
            "seconds",
            "skip what is left if the machine can't run it for this many seconds: the CLI or a "
            "folder is away, there are no more processes, the CLI ends at its start (default: 1 "
            "hour; 10 minutes with --wait and no terminal)",
            per_task=False,
        ),
        Option(
            "not_before",
            "moment",
            "start nothing before this time of day, such as 22:00 (local time), or this date and "
            "time; cpr resume starts at once",
            per_task=False,
            metavar="TIME",
        ),
        Option(
            "reserve",
            "share",
            "leave this share of a subscription's usage windows for other work: with 0.3 nothing "
            "starts once 70 % are used, until the window is renewed",
            per_task=False,
            metavar="SHARE",
        ),
        *(
            Option(name, "notice", text, per_task=False, metavar="WHERE", from_repository=REFUSED)
            for name, text in NOTICE_OPTIONS.items()
        ),
        Option(
            "linger_s",
            "seconds",
            "end a task whose background commands still run after its answer, once it has written "
            "nothing for this many seconds; it has succeeded all the same (default: 900)",
        ),
        Option(
            "attempts",
            "count",
            "how many attempts a task has in all; it gets another one after a failure for a "
            "passing reason: rate limit, overload, network, silence, a crash, a missing structure "
            "(default: 2)",
            metavar="N",
        ),
        Option(
            "first_byte_s",
            "seconds",
            "end a task that has written nothing at all after this many seconds (default: 600)",
        ),
        Option(
            "check",
            "command",
            "a shell command that runs in the task's folder after its success, such as "
            "'pytest -q'; if it fails, the task counts as failed",
            metavar="COMMAND",
            from_repository=ASKS,
        ),
        Option(
            "check_timeout_s", "seconds", "end the check after this many seconds (default: 600)"
        ),
        Option(
            "fail_on_denied", "flag", "count a task as failed if one of its tool calls was denied"
        ),
        Option(
            "strict_setup",
            "flag",
            "fail a task at once if the CLI's set-up is not as asked: another permission mode, an "
            "MCP server or a plugin that fails, allow rules of an untrusted folder, a settings "
            "file that the CLI can't read",
        ),
        Option(
            "warm_start",
            "flag",
            "let one of the tasks that begin alike lead until its first answer, so that the "
            "others read the prompt cache instead of each paying to write it",
            per_task=False,
        ),
        Option(
            "share_process",
            "flag",
            "let tasks share CLI processes, one after the other, instead of starting one for each: "
            "less CPU and time where tasks are short",
            per_task=False,
        ),
        Option(
            "task_budget_usd",
            "usd",
            "end a task once it has cost more than this, by the CLI's estimate",
        ),
        Option(
            "budget_usd",
            "usd",
            "what the session may cost in all: a task starts only if this has room for it, and is "
            "ended once the rest is spent, by the CLI's estimate",
            per_task=False,
        ),
        Option(
            "env",
            "env",
            "set a variable for the agents; its value is never stored",
            from_repository=REFUSED,
        ),
        Option(
            "claude_args",
            "arguments",
            "pass one more argument to the CLI, unchanged",
            metavar="ARG",
            from_repository=REFUSED,
        ),
    )
}
