"""Where a session sends its notices: what a person may write, and what of it may be shown.

The address of a webhook is a secret: whoever knows it can write there. So is a command that holds
one. A `Destination` is a text that may be shown anywhere; what it stands for is an attribute of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cpr_nb.model.errors import InputError
from cpr_nb.model.states import NO_NOTICE, ON_DONE, ON_FAILED, ON_WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Option → its help.
NOTICE_OPTIONS: Mapping[str, str] = {
    ON_DONE: "when the session has ended, send a notice: to 'desktop', to env:NAME (a variable "
    "with the URL of a webhook), or by a shell command, which gets the session as JSON",
    ON_FAILED: "likewise, when it has ended and not all of its tasks have succeeded",
    ON_WAITING: "likewise, when it waits: for a limit, a login, the machine, or a person's answer",
}
DESKTOP = "desktop"
COMMAND, WEBHOOK, APPRISE, VARIABLE = "command", "webhook", "apprise", "env"
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://\S+")
_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_KEPT = re.compile(rf"({COMMAND}|{WEBHOOK}|{APPRISE}):[0-9a-f]{{32}}(?::([A-Za-z_][A-Za-z0-9_]*))?")
_MAX_CHARS = 8192


class Destination(str):
    """Where notices go; as a text it holds no secret.

    Args:
        shown: What may be shown.
        kind: `DESKTOP`, `NO_NOTICE`, `COMMAND`, `WEBHOOK`, `APPRISE` or `VARIABLE`.
        secret: The URL, the command, or the name of a variable; None if it is kept elsewhere.
        variable: The variable that it came from; empty if it came from none.

    Example:
        >>> Destination("webhook", "webhook", "https://example.org/T0/B1")
        'webhook'
    """

    kind: str
    secret: str | list[str] | None
    variable: str

    def __new__(
        cls, shown: str, kind: str, secret: str | list[str] | None = None, variable: str = ""
    ) -> Destination:
        """Makes the text."""
        made = super().__new__(cls, shown)
        made.kind, made.secret, made.variable = kind, secret, variable
        return made


def check_destination(value: object, where: str) -> Destination:
    """Reads where notices are to go.

    Args:
        value: ``desktop``, ``off``, ``env:NAME``, a URL, a shell command, or a command as a list.
        where: What to call it in an error.

    Raises:
        InputError: If it can't be right; the message does not repeat it.

    Example:
        >>> check_destination("https://example.org/T0/B1", "on_done").kind
        'webhook'
        >>> check_destination("notify-me --loud", "on_done").kind
        'command'
    """
    if isinstance(value, Destination):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _argv(value, where)
    if not isinstance(value, str) or not value.strip():
        raise InputError("must be a command (a text or a list), 'desktop' or a URL", where)
    text = value.strip()
    if not _can_be_passed(text):
        raise InputError("has control characters or is too long", where)
    if text in (DESKTOP, NO_NOTICE):
        return Destination(text, text)
    if kept := kept_destination(text):
        return kept
    if variable := _VARIABLE.fullmatch(text):
        return Destination(text, VARIABLE, variable[1])
    if url := _URL.fullmatch(text):
        return _of_url(text, url[1].lower(), where)
    return Destination("a command", COMMAND, text)


def check_flag(text: str, where: str) -> Destination:
    """The same for the value of a flag, which other users of the machine can see.

    Raises:
        InputError: If it is a URL, or can't be right.
    """
    made = check_destination(text, where)
    if made.kind in (WEBHOOK, APPRISE) and made.secret is not None:
        raise InputError(
            "a URL is a secret, and everybody on this machine sees the arguments of a program: "
            f"put it into a variable and give {where} env:NAME, or into the user's own settings",
            where,
        )
    return made


def kept_destination(value: object) -> Destination | None:
    """What a session's folder says of a destination: its kind and a reference, or ``desktop``.

    Args:
        value: The value of the option there; anybody may have written it.

    Returns:
        The destination; None if it is none, such as a command in full.

    Example:
        >>> kept_destination("curl example.org") is None
        True
    """
    if not isinstance(value, str):
        return None
    if value in (DESKTOP, NO_NOTICE):
        return Destination(value, value)
    match = _KEPT.fullmatch(value)
    return Destination(value, match[1], variable=match[2] or "") if match else None


def only_kept(options: Mapping[str, Any]) -> dict[str, Any]:
    """Stored options, without notices that no launch of cpr has stored so.

    Args:
        options: The options of a session.json.

    Example:
        >>> only_kept({"model": "opus", "on_done": "curl example.org"})
        {'model': 'opus'}
    """
    return {
        name: value
        for name, value in options.items()
        if name not in NOTICE_OPTIONS or kept_destination(value)
    }


def variables_of(options: Mapping[str, Any]) -> list[str]:
    """The variables that the destinations of these options came from: no agent needs them.

    Args:
        options: Checked options, or those of a session.json.

    Example:
        >>> variables_of({"on_done": f"webhook:{'0' * 32}:HOOK", "on_failed": "desktop"})
        ['HOOK']
    """
    values = [options[name] for name in NOTICE_OPTIONS if name in options]
    made = [v if isinstance(v, Destination) else kept_destination(v) for v in values]
    return [one.variable for one in made if one is not None and one.variable]


def _of_url(url: str, scheme: str, where: str) -> Destination:
    kind = WEBHOOK if scheme in ("http", "https") else APPRISE
    if kind == WEBHOOK and not _is_address(url):
        raise InputError("its URL has no host, no valid port, or other than ASCII in it", where)
    return Destination(kind, kind, url)


def _is_address(url: str) -> bool:
    """Whether a request can be sent there."""
    from urllib.parse import urlsplit  # only for a webhook

    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and url.isascii()
    except ValueError:
        return False


def _argv(words: Sequence[object], where: str) -> Destination:
    texts = [word for word in words if isinstance(word, str) and _can_be_passed(word)]
    if len(texts) != len(words) or not texts or not texts[0].strip():
        raise InputError("must be a command: a list of texts, the program first", where)
    return Destination("a command", COMMAND, texts)


def _can_be_passed(text: str) -> bool:
    try:
        return b"\0" not in text.encode() and len(text) <= _MAX_CHARS
    except UnicodeEncodeError:
        return False
