"""The full help of the command."""

from __future__ import annotations

from collections.abc import Mapping


def full_help(commands: Mapping[str, str]) -> str:
    """What ``cpr --help`` prints.

    Args:
        commands: Sub-command → one line.
    """
    lines = "\n".join(f"  {name:<12}{line}" for name, line in commands.items())
    return f"""\
usage: cpr [FILE] [options]              start tasks (or: … | cpr)
       cpr COMMAND [options]             cpr COMMAND --help tells all of its options

Runs many Claude Code tasks in parallel and detached: close the terminal, come back later.
Everything is kept in a plain results directory.

commands:
{lines}

the short grammar does the same:
  cpr FILE                  cpr run FILE
  cpr --sync FILE           cpr run --wait FILE
  cpr --status SESSION      cpr status SESSION
  cpr --results SESSION     cpr results SESSION
  cpr --list, --overview    cpr list, cpr overview

often used with a launch:
  -j, --max-parallel=N      how many tasks run at once (0: no limit)
  --permissions MODE        read, edits (default), sandbox, all
  --allow RULE              also allow a tool, such as 'Bash(pytest:*)'
  --model M, --effort E     the model, and how hard it thinks
  --schema FILE             JSON schema of the answers
  --timeout-s S             end a task after S seconds
  --budget-usd X            start no further task once X is spent
  --name NAME               a name for the session
  --verbose                 show what is loaded and what runs
  --dry-run                 check everything, start nothing

FILE is .json ({{"prompts": ["…", {{"id": "…", "prompt": "…"}}]}}), .jsonl or .csv (a row a prompt).
A SESSION is an id, its first characters (at least four), or a name.

exit codes: 0 launched, or all succeeded; 1 a task did not succeed (--sync, --wait), doctor found
something; 2 bad input, no Claude CLI, unknown session; 130 Ctrl-C.

  -h, --help     this text
  -v, --version  the version
"""
