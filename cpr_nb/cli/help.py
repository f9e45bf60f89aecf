"""The help of the command: the ten commands of a day, all of them, and examples of each."""

from __future__ import annotations

from collections.abc import Mapping

#: The commands of a day, in the order in which one needs them.
DAILY = (
    *("run", "map", "watch", "list", "results"),
    *("retry", "follow-up", "diff", "merge", "cancel"),
)
#: Sub-command → examples: a command line, and what it does. A module may have its own instead.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "run": (
        ("cpr run prompts.json -j 4", "start its prompts, four at once, and return"),
        ("cpr run --wait --worktree prompts.json", "each on a branch of its own; show them live"),
        ("cpr run --best-of 3 --check 'pytest -q' p.json", "three candidates a prompt"),
        ("cpr run --after 3f2a prompts.json", "start them when that session has ended"),
    ),
    "status": (("cpr status 3f2a", "every task, its state, time and cost"),),
    "results": (
        ("cpr results 3f2a", "all answers"),
        ("cpr results 3f2a --task 2", "the answer of the second task"),
    ),
    "report": (("cpr report 3f2a -o review.html --redact", "without prompts and answers"),),
    "export": (("cpr export 3f2a --to inspect -o review.eval", "for the viewer of Inspect"),),
    "import": (
        ("cpr import", "what your own Claude Code did, and its cost"),
        ("cpr import review.eval", "shown as any other session"),
    ),
    "list": (("cpr list", "the newest first"),),
    "overview": (("cpr overview", "how many sessions and tasks, and what they cost"),),
    "watch": (
        ("cpr watch", "the newest session, a live one first"),
        ("cpr watch 3f2a --exit-code", "exit with 1 if a task did not succeed"),
    ),
    "logs": (("cpr logs 3f2a --task 2 -f", "what it does, until it ends"),),
    "answer": (
        ("cpr answer 3f2a", "what its agents ask, and the commands that answer"),
        ("cpr answer 3f2a 9c41f0 --once", "allow what one of them asks for, once"),
    ),
    "cancel": (
        ("cpr cancel 3f2a", "end all its tasks; what was written stays"),
        ("cpr cancel 3f2a --task 2", "end one of them"),
    ),
    "resume": (
        ("cpr resume 3f2a", "go on after an interruption or a pause"),
        ("cpr resume --all", "after a reboot: every session that was interrupted"),
    ),
    "pause": (("cpr pause 3f2a", "running tasks continue"),),
    "agent": (("cpr agent results/session-3f2a…/join.json --slots 4", "serve that session"),),
    "nodes": (
        ("cpr nodes 3f2a", "the machines that run its tasks"),
        ("cpr nodes add 3f2a ssh:host3", "one more"),
    ),
    "set": (("cpr set 3f2a max-parallel=3", "while it runs"),),
    "retry": (
        ("cpr retry 3f2a --allow 'Bash(pytest:*)'", "what did not succeed, with more rights"),
        ("cpr retry 3f2a --all-tasks --model opus", "everything, with another model"),
    ),
    "merge": (
        ("cpr merge 3f2a --dry-run", "what would conflict; changes nothing"),
        ("cpr merge 3f2a", "one branch at a time, fewest conflicts first"),
    ),
    "clean": (("cpr clean 3f2a --dry-run", "which worktrees and branches would go"),),
    "trust": (
        ("cpr trust", "what this repository could run, and a question"),
        ("cpr trust results/", "the sessions of another machine"),
    ),
    "doctor": (
        ("cpr doctor", "what this machine has and lacks"),
        ("cpr doctor --probe", "try this version of the CLI, offline"),
    ),
    "demo": (("cpr demo", "in results/demo"),),
    "completion": (('eval "$(cpr completion bash)"', "in ~/.bashrc"),),
}

_USAGE = """\
usage: cpr [FILE] [options]              start tasks (or: … | cpr)
       cpr COMMAND [options]             cpr help COMMAND explains it, with examples

Runs many Claude Code tasks in parallel, detached: close the terminal and come back later.
Everything is kept in a plain results directory.
"""
_REST = """\

the short forms do the same:
  cpr FILE                  cpr run FILE
  cpr --sync FILE           cpr run --wait FILE
  cpr --status SESSION      cpr status SESSION
  cpr --results SESSION     cpr results SESSION
  cpr --list                cpr list
  cpr --overview            cpr overview

options often used to start tasks:
  -j, --max-parallel=N      how many tasks run at once (0: no limit)
  --permissions MODE        read, edits (default), sandbox, all
  --allow RULE              also allow this tool, such as 'Bash(pytest:*)'
  --model M, --effort E     the model and how hard it thinks
  --schema FILE             a JSON schema for the answers
  --timeout-s S             end a task after S seconds
  --budget-usd X            start a task only if X has room for it
  --name NAME               a name for the session
  --verbose                 show the prompts and options that were loaded
  --dry-run                 check everything, start nothing

FILE is .json ({"prompts": ["…", {"id": "…", "prompt": "…"}]}), .jsonl (one prompt per line) or
.csv (one prompt per row).
SESSION is a session's id, the first characters of it (at least four), or its name.

exit codes:
  0    started; with --wait, --sync or map -o: all tasks succeeded
  1    a task did not succeed (--wait, --sync, map -o, watch --exit-code), a merge stopped, a push
       or a pull request failed, a session could not be resumed (resume --all), the demo went wrong,
       or doctor found a problem
  2    bad input, no Claude CLI, unknown session
  130  Ctrl-C; the session keeps running

  -h, --help     show this text
  -v, --version  show the version
"""


def daily_help(commands: Mapping[str, str]) -> str:
    """Returns what ``cpr --help`` prints: the ten commands of a day.

    Args:
        commands: Sub-command → one line.
    """
    daily = _lines({name: commands[name] for name in DAILY if name in commands})
    others = ", ".join(name for name in commands if name not in DAILY)
    more = f"cpr help --all says what the others do:\n{_wrapped(others)}"
    return f"{_USAGE}\nthe commands of a day:\n{daily}\n\n{more}\n{_REST}"


def full_help(commands: Mapping[str, str]) -> str:
    """Returns what ``cpr help --all`` prints: every command.

    Args:
        commands: Sub-command → one line.
    """
    daily = _lines({name: commands[name] for name in DAILY if name in commands})
    others = _lines({name: line for name, line in commands.items() if name not in DAILY})
    return f"{_USAGE}\nthe commands of a day:\n{daily}\n\nthe others:\n{others}\n{_REST}"


def examples_text(name: str) -> str:
    """Returns the examples of a sub-command, for the end of its help; empty if it has none here.

    Args:
        name: The sub-command.

    Example:
        >>> print(examples_text("pause"))
        examples:
          cpr pause 3f2a   running tasks continue
    """
    lines = EXAMPLES.get(name, ())
    width = max((len(command) for command, _ in lines), default=0)
    shown = [f"  {command:<{width}}   {words}" for command, words in lines]
    return "\n".join(["examples:", *shown]) if shown else ""


def _lines(commands: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:<12}{line}" for name, line in commands.items())


def _wrapped(text: str) -> str:
    import textwrap  # only for a help

    return textwrap.fill(text, 96, initial_indent="  ", subsequent_indent="  ")
