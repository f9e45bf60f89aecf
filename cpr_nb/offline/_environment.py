"""The environment in which the real CLI meets a loopback API."""

from __future__ import annotations

import os
import re
from pathlib import Path

_LOOPBACK = re.compile(r"http://(127(\.\d{1,3}){3}|\[::1\]|localhost)(:\d{1,5})?(/[\w./-]*)?")


def cli_environment(
    api_url: str,
    home: str | os.PathLike[str],
    *,
    path: str | None = None,
    tmpdir: str | os.PathLike[str] | None = None,
    subscription: bool = False,
) -> dict[str, str]:
    """Return the complete environment for the real CLI, built from nothing.

    It never copies ``os.environ``, where a developer's own login may be.

    Args:
        api_url: The base URL of the API, on the loopback interface.
        home: The directory for HOME; the CLI's configuration goes to ``.claude`` in it.
        path: PATH, if not the system's usual one.
        tmpdir: TMPDIR, if one is wanted.
        subscription: Log in as a subscription does, with an invented token, not with an invented
            API key: only then does the CLI tell of usage limits. (An invented login in a file is
            no way: the CLI asks the Internet for its account, and to renew it after a 401.)

    Raises:
        ValueError: The URL isn't a loopback one.

    Example:
        >>> cli_environment("http://127.0.0.1:8000", "/tmp/home")["ANTHROPIC_API_KEY"]
        'dummy'
    """
    # A pattern, since parsers disagree on whose host "http://a\@b" names.
    if not _LOOPBACK.fullmatch(api_url):
        raise ValueError(f"not a loopback URL: {api_url!r}")
    switches = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY")
    return {
        **dict.fromkeys((*switches, "DISABLE_AUTOUPDATER", "IS_SANDBOX"), "1"),
        "PATH": path or f"/usr/local/bin{os.pathsep}{os.defpath}",
        "HOME": str(Path(home).absolute()),
        "CLAUDE_CONFIG_DIR": str(Path(home).absolute() / ".claude"),
        "ANTHROPIC_BASE_URL": api_url,
        ("CLAUDE_CODE_OAUTH_TOKEN" if subscription else "ANTHROPIC_API_KEY"): "dummy",
        **{"LANG": "C.UTF-8", "TERM": "dumb"},
        **({} if tmpdir is None else {"TMPDIR": str(Path(tmpdir).absolute())}),
    }
