"""Guards of agents: what they are kept off."""

from __future__ import annotations

from boundary.guard import Guard, row

GUARDS = [
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
        "return OffLimits(folder, *places, git_dirs=filter(None, git_dirs))",
        "return OffLimits(folder, *places)",
        row("an agent at its own controls", "sandbox"),
    ),
]
