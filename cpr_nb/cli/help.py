"""The full help of the command."""

from __future__ import annotations

from collections.abc import Mapping


def full_help(commands: Mapping[str, str]) -> str:
    """Returns what ``cpr --help`` prints.

    Args:
        commands: Sub-command → one line.
    """
    lines = "\n".join(f"  {name:<12}{line}" for name, line in commands.items())
    return f"""\
usage: cpr [FILE] [options]              start tasks (or: … | cpr)
       cpr COMMAND [options]             cpr COMMAND --help lists its options

Runs many Claude Code tasks in parallel, detached: close the terminal and come back later.
Everything is kept in a plain results directory.

commands:
{lines}

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

FILE is .json ({{"prompts": ["…", {{"id": "…", "prompt": "…"}}]}}), .jsonl (one prompt per line) or
.csv (one prompt per row).
SESSION is a session's id, the first characters of it (at least four), or its name.

exit codes:
  0    started; with --wait or --sync: all tasks succeeded
  1    a task did not succeed (--wait, --sync, watch --exit-code), a merge stopped, a session could
       not be resumed (resume --all), the demo went wrong, or doctor found a problem
  2    bad input, no Claude CLI, unknown session
  130  Ctrl-C; the session keeps running

  -h, --help     show this text
  -v, --version  show the version
"""
