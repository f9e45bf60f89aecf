"""Which rule allows a simple command, and whether it allows more than that command."""

from __future__ import annotations

import re

#: What is said of a rule under which an agent can run whatever it likes.
ANY_COMMAND = "allows any command"

_PLAIN = re.compile(r"[a-z@][\w.:@/-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
# Allowing `git commit` must not allow `git push`.
_WITH_SUBCOMMANDS = frozenset(
    {"git", "gh", "npm", "pnpm", "yarn", "bun", "npx", "bunx", "cargo", "go", "docker", "podman"}
    | {"kubectl", "pip", "pipx", "uv", "uvx", "poetry", "make", "just", "dotnet", "terraform"}
)
# Options that come before the subcommand and have a value.
_WITH_VALUE = {
    "git": frozenset({"-C", "-c", "--git-dir", "--work-tree"}),
    "make": frozenset({"-C"}),
}
# `npm run` alone allows every script, `uv run` every command.
_RUNNERS = frozenset({"run", "exec", "compose", "dlx", "tool"})
_RUN_ANYTHING = frozenset(
    {"uv run", "uv tool", "poetry run", "pipx run", "npm exec", "pnpm exec", "pnpm dlx"}
    | {"yarn exec", "yarn dlx", "docker run", "docker exec", "podman run", "podman exec"}
    | {"kubectl exec", "kubectl run"}
)
_SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh", "fish"})
_INTERPRETERS = re.compile(
    r"(?:python|pypy|perl|ruby|node|deno|php|lua|Rscript|osascript|pwsh|ipython)[\d.]*"
)
_LEFT_AWAY = ("timeout", "time", "nice", "nohup")
_LIMIT = re.compile(r"-.*|[\d.]+[smhd]?")
_WRAPPERS = frozenset(
    {"sudo", "doas", "su", "env", "xargs", "eval", "exec", "source", ".", "command", "builtin"}
    | {*_LEFT_AWAY, "stdbuf", "setsid", "watch", "parallel", "ssh", "script"}
    | {"flock", "chroot", "unshare", "strace", "busybox", "expect", "tmux", "screen", "awk"}
)


class CommandRule:
    """A rule that allows a simple command.

    Args:
        rule: The rule.
        warning: What else it allows, if that is more than the name says; else empty.
    """

    __slots__ = ("rule", "warning")

    def __init__(self, rule: str, warning: str = "") -> None:
        self.rule = rule
        self.warning = warning


def command_rule(words: list[str]) -> CommandRule:
    """Returns the rule that allows a simple command, by the words that it begins with.

    Args:
        words: The command's words, at least one.

    Example:
        >>> command_rule(["git", "push", "origin"]).rule
        'Bash(git push:*)'
        >>> command_rule(["bash", "-c", "'pytest -q'"]).warning
        'allows any command'
    """
    words = _unwrapped(words)
    n_assigned = 0
    while n_assigned < len(words) - 1 and _ASSIGNMENT.fullmatch(words[n_assigned]):
        n_assigned += 1  # the CLI matches a rule with the variables that stand before a command
    command = words[n_assigned:]
    n_words = _prefix_length(command)
    rule = f"Bash({' '.join(words[: n_assigned + n_words])}:*)"
    return CommandRule(rule, ANY_COMMAND if _runs_anything(command[:n_words]) else "")


def _unwrapped(command: list[str]) -> list[str]:
    """The command without what limits its time or priority: the CLI leaves that away, too."""
    at = 0
    while command[at] in _LEFT_AWAY:
        at += 1
        while at < len(command) and _LIMIT.fullmatch(command[at]):
            at += 1
        if at == len(command):
            return command
    return command[at:]


def _prefix_length(command: list[str]) -> int:
    """How many words say what the command does."""
    name = _name(command[0])
    if _INTERPRETERS.fullmatch(name) and command[1:2] == ["-m"] and _is_plain(command, 2):
        return 3
    if name not in _WITH_SUBCOMMANDS:
        return 1
    at = 1
    while at < len(command) and command[at] in _WITH_VALUE.get(name, ()):
        at += 2
    if not _is_plain(command, at):
        return 1
    if command[at] in _RUNNERS and _is_plain(command, at + 1):
        at += 1
    return at + 1


def _is_plain(command: list[str], at: int) -> bool:
    return at < len(command) and _PLAIN.fullmatch(command[at]) is not None


def _runs_anything(prefix: list[str]) -> bool:
    """Whether a command that begins with these words can be any command."""
    last = _name(prefix[-1])
    if len(prefix) == 3 and prefix[1] == "-m":
        return False
    if last in _SHELLS or last in _WRAPPERS or _INTERPRETERS.fullmatch(last):
        return len(prefix) == 1 or prefix[-2] in _RUNNERS or _name(prefix[0]) in ("npx", "uvx")
    return " ".join(prefix) in _RUN_ANYTHING


def _name(word: str) -> str:
    return word.rpartition("/")[2]
