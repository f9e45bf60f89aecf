"""Finds programs on this machine: the Claude Code CLI, and others by their name."""

from __future__ import annotations

import os
from collections.abc import Mapping

from cpr_nb.model.errors import ClaudeNotFound
from cpr_nb.store.paths import absolute_path

HOW_TO_GET_CLAUDE = (
    "install it (npm install -g @anthropic-ai/claude-code, or pip install 'cpr_nb[claude]'), "
    "or say where it is with --claude-path or CPR_CLAUDE"
)


# The package comes last, so that it hides nothing; -P: nor does the folder that it runs in.
_MAIN = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from cpr_nb.frames.scoring_program import main; sys.exit(main(sys.argv[1:]))"
)


def find_claude(claude_path: str | None, environ: Mapping[str, str]) -> str:
    """Finds the Claude Code CLI.

    ``claude_path``, else ``CPR_CLAUDE``, else ``claude`` on PATH, else the one bundled with the
    package claude-agent-sdk.

    Args:
        claude_path: The option, if it was given.
        environ: The environment.

    Returns:
        Its absolute path.

    Raises:
        ClaudeNotFound: If there is none, or the given one is not a program.
    """
    named = claude_path or environ.get("CPR_CLAUDE")
    if named:
        # A bare name is searched on PATH; a path is relative to the current folder.
        program = find_program(os.fspath(named), environ)
        if program is None:
            source = "--claude-path" if claude_path else "CPR_CLAUDE"
            raise ClaudeNotFound(f"{source}: {named} is not a program that can be run")
        return program
    on_path = find_program("claude", environ)
    if on_path is not None:
        return on_path
    bundled = _bundled_claude()
    if bundled is None:
        raise ClaudeNotFound(f"Claude Code CLI not found: {HOW_TO_GET_CLAUDE}")
    return bundled


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """The absolute path of a program; None if there is none. A launch does without `shutil`.

    Args:
        name: A path, or a name that is searched on PATH.
        environ: The environment.

    Example:
        >>> find_program("sh", {"PATH": "/nowhere:/bin"})
        '/bin/sh'
    """
    search = environ.get("PATH", os.environ.get("PATH", os.defpath))
    folders = search.split(os.pathsep) if search else []
    for path in [name] if "/" in name else [os.path.join(folder, name) for folder in folders]:
        absolute = absolute_path(path)
        try:
            if os.access(absolute, os.X_OK) and not os.path.isdir(absolute):
                return absolute
        except ValueError:  # no file can have this name
            return None
    return None


def _bundled_claude() -> str | None:
    from importlib.util import find_spec

    spec = find_spec("claude_agent_sdk")  # does not import it: that takes 1.2 s
    if spec is None or spec.origin is None:
        return None
    path = os.path.join(os.path.dirname(spec.origin), "_bundled", "claude")
    return path if os.access(path, os.X_OK) else None


def scoring_argv(python: str) -> list[str]:
    """The arguments of the program that calls a user's function (see `scoring_program`).

    Args:
        python: The Python that has the user's libraries.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [python, "-P", "-c", _MAIN, os.path.dirname(package)]
