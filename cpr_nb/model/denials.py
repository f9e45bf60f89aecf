"""Tool calls that the permissions refused: why, and the rules that would have allowed them.

The CLI tells the agent why, in the result of the call and (from 2.1.227 on) in an event. It names
the part of a command that needs approval. A rule comes from that part: `cd sub && pytest -q` needs
``Bash(pytest:*)``. Against a hook, a deny rule or what the CLI can't check, no such rule helps.
(Measured with 2.1.71 to 2.1.332.)
"""

from __future__ import annotations

import re

from cpr_nb.model.allow_rules import ANY_COMMAND, command_rule
from cpr_nb.model.shell import simple_commands
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONGEST = 10_000  # characters of a command that are read
# In these words the CLI asks for approval. Any others are a refusal, and no rule helps.
_NEEDS_APPROVAL = re.compile(
    r"This command requires approval|sed command requires approval"
    r"|[\w.-]+ in '[^']*' needs approval\. The path is inside"
    r"|.*The following parts? requires? approval: "
    r"|Claude requested permissions to use \S+, but you haven't granted it yet"
    r"|Permission to use \S+ has been denied because Claude Code is running in don't ask mode"
)
_NAMED = re.compile(r"The following parts? requires? approval: (.*)", re.DOTALL)
# What the CLI can't check passes with the rule `Bash` only (measured).
_UNCHECKABLE = re.compile(
    r".*can't be checked before it runs|Contains |Command contains |Unhandled node|Brace expansion"
    r"|'\w+' evaluates arguments|This command (?:uses|changes)|Commands that change directories"
    r"|Compound commands|find with '-"
)
_REFUSALS = ("rule", "hook", "safetyCheck", "asyncAgent")  # kinds of reasons
# `touch in '/x' needs approval. …`, before 2.1.316 `touch in '/x' was blocked. For security,
# Claude Code may only create or modify files in …`; reading is blocked on all versions.
_PATH = re.compile(
    r"(?P<what>[\w.-]+|Output redirection) (?:in|to) '(?P<path>/[^']*)' "
    r"(?:(?P<asks>needs approval\. The path is (?:outside|inside))"
    r"|was blocked\. For security, Claude Code may only (?P<verb>\w+))"
)
_FILE = re.compile(
    r"Claude requested permissions to (?P<verb>write|edit|read)(?: to| from)? (?P<path>/.+),"
    r" but you haven't granted it yet"
)
_WRITING = ("write", "edit", "create", "modify", "remove", "delete", "move", "copy", "change")
_LISTING = ("cd", "ls", "find", "tree", "du")  # what they are given is a folder
_UNFIT_PATH = re.compile(r"[*?\[\]{}()!\\]|/\.(?:claude|git)(?:/|$)")
_HOST = re.compile(r"https?://(?:[^/@?#]*@)?([^/:?#]+)", re.IGNORECASE)
# Commands that the CLI allows by itself; they need a rule only where nothing else does.
_READING = frozenset(
    {
        "cd",
        "pwd",
        "echo",
        "true",
        "false",
        "ls",
        "cat",
        "head",
        "tail",
        "wc",
        "grep",
        "sort",
        "date",
    }
)
#: What stands where the CLI's reason would, if it gave none.
UNKNOWN_REASON = "the CLI does not say why: the rule comes from the whole command"


class Advice:
    """What helps against a denial.

    Args:
        rules: The rules that allow the call; empty if none helps.
        reason: The CLI's words, on one line.
        warnings: Rule → what else it allows.

    Example:
        >>> advise({"tool_name": "WebFetch", "tool_input": {"url": "https://a.org/b"}}).rules
        ['WebFetch(domain:a.org)']
    """

    __slots__ = ("reason", "rules", "warnings")

    def __init__(self, rules: list[str], reason: str, warnings: dict[str, str]) -> None:
        self.rules = rules
        self.reason = reason
        self.warnings = warnings

    def fields(self) -> dict[str, Any]:
        """The advice as fields of a denial."""
        return {
            "rule": self.rules[0] if self.rules else None,
            "rules": self.rules,
            "reason": self.reason,
            "warnings": self.warnings,
        }


def advise(denial: dict[str, Any]) -> Advice:
    """Says which rules would allow a denied tool call, or why none does.

    Args:
        denial: The denial, with what `DenialReasons` adds to it.

    Example:
        >>> denial = {"tool_name": "Bash", "tool_input": {"command": "cd sub && pytest -q"}}
        >>> advise({**denial, "message": "The following part requires approval: pytest -q"}).rules
        ['Bash(pytest:*)']
    """
    message = denial.get("message")
    reason = message if isinstance(message, str) else ""
    rules, warnings = list[str](), dict[str, str]()
    if denial.get("decision_reason_type") not in _REFUSALS:
        path = _PATH.match(reason) or _FILE.match(reason)
        if not reason or _NEEDS_APPROVAL.match(reason):
            rules, warnings = _tool_rules(denial, reason)
        elif path:
            rules = _path_rules(path)
    text = one_line(reason) or UNKNOWN_REASON
    if not rules and denial.get("tool_name") == "Bash" and _UNCHECKABLE.match(reason):
        text += " (only the rule Bash would help: it allows any command)"
    return Advice(rules, text, warnings)


def _path_rules(match: re.Match[str]) -> list[str]:
    """The rule for a path that is refused; rules on ``Edit`` concern all that writes."""
    groups = match.groupdict()
    path, command = groups["path"], groups.get("what")
    writes = bool(groups.get("asks")) or (command != "cd" and groups["verb"] in _WRITING)
    return folder_rules(path if command in _LISTING else path.rpartition("/")[0], writes=writes)


def folder_rules(folder: str, *, writes: bool = False) -> list[str]:
    """The rule that opens a folder; none for one that no rule can name.

    Example:
        >>> folder_rules("/data", writes=True)
        ['Edit(//data/**)']
    """
    folder = folder.rstrip("/")
    if not folder.startswith("/") or _UNFIT_PATH.search(folder):
        return []
    return [f"{'Edit' if writes else 'Read'}(/{folder}/**)"]


def _tool_rules(denial: dict[str, Any], reason: str) -> tuple[list[str], dict[str, str]]:
    """The rules for a call that needs approval, and what else they allow."""
    tool, tool_input = str(denial.get("tool_name", "")), denial.get("tool_input")
    fields = tool_input if isinstance(tool_input, dict) else {}
    command, url = fields.get("command"), fields.get("url")
    if tool == "Bash" and isinstance(command, str):
        rules, warnings = _command_rules(command[:_LONGEST], reason)
        return (rules, warnings) if rules else (["Bash"], {"Bash": ANY_COMMAND})
    host = _HOST.match(url) if tool == "WebFetch" and isinstance(url, str) else None
    if tool == "Bash":
        return [tool], {tool: ANY_COMMAND}
    return [f"WebFetch(domain:{host[1]})" if host else tool] if tool else [], {}


def _command_rules(command: str, reason: str) -> tuple[list[str], dict[str, str]]:
    commands = _needing_approval(simple_commands(command), reason)
    rules, warnings = list[str](), dict[str, str]()
    for words in commands:
        if words[0] == "cd":
            rules += folder_rules(words[1] if len(words) > 1 else "")
            continue
        one = command_rule(words)
        rules.append(one.rule)
        if one.warning:
            warnings[one.rule] = one.warning
    return list(dict.fromkeys(rules)), warnings


def _needing_approval(commands: list[list[str]], reason: str) -> list[list[str]]:
    """Those of the simple commands that the reason names; else those that do more than read."""
    match = _NAMED.search(reason)
    if match:
        named = " ".join(match[1].split())
        found = [words for words in commands if _is_named(words, named)]
        if found:
            return found
    return [words for words in commands if words[0] not in _READING] or commands


def _is_named(words: list[str], named: str) -> bool:
    """Whether a command is among those that the CLI names, or a part of one."""
    for text in (" ".join(words), " ".join(words[:2])):  # a redirection may stand among its words
        at = named.find(text)
        if at == 0 or (at > 0 and named[at - 1] in " (;&|"):
            return True
    return False
