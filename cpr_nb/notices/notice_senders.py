"""The ways in which a notice is sent: a command, a desktop, a webhook, a service of Apprise."""

from __future__ import annotations

import base64
import html
import http.client
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from cpr_nb.model.destinations import APPRISE, COMMAND, DESKTOP, WEBHOOK, Destination
from cpr_nb.notices.notice_text import Notice
from cpr_nb.store.kept_destinations import read_kept

#: How long one try may take.
_COMMAND_S, _REQUEST_S = 60.0, 15.0
#: Answers of a web server that a later try may change, among those that blame the request.
_PASSING = (408, 425, 429)
_APPLESCRIPT = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)


class NotSent(Exception):
    """A notice was not sent.

    Args:
        why: In words that hold no URL.
        is_final: Whether no later try can help.
    """

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


def send(destination: Destination, notice: Notice) -> None:
    """Sends a notice once.

    Args:
        destination: Where to.
        notice: What.

    Raises:
        NotSent: If it was not accepted.
    """
    if destination.kind == DESKTOP:
        _show(notice)
        return
    secret = read_kept(destination)
    if secret is None:
        raise NotSent("where it goes is not kept on this machine", is_final=True)
    if destination.kind == COMMAND:
        _run(secret, notice)
    elif destination.kind == WEBHOOK and isinstance(secret, str):
        _post(secret, notice)
    elif destination.kind == APPRISE and isinstance(secret, str):
        _send_by_apprise(secret, notice)


def desktop_program() -> str:
    """The program that shows a notice on the desktop; empty if there is none."""
    return shutil.which("notify-send") or shutil.which("osascript") or ""


def _show(notice: Notice) -> None:
    program = desktop_program()
    if not program:
        raise NotSent("nothing here shows notices on a desktop", is_final=True)
    if program.endswith("osascript"):
        lines = [word for line in _APPLESCRIPT for word in ("-e", line)]
        argv = [program, *lines, notice.title, notice.text]
    else:  # its text may have markup
        argv = [program, "--app-name=cpr", "--", notice.title, html.escape(notice.text)]
    _call(argv, b"", {})


def _run(command: str | list[str], notice: Notice) -> None:
    """Runs the user's command; not in the folder of the agents, who could change what it is."""
    fields = notice.as_json(local=True)
    session = fields["session"]
    variables = {
        "CPR_EVENT": notice.event,
        "CPR_NOTICE_KEY": notice.key,
        "CPR_TEXT": notice.text,
        "CPR_SESSION_ID": session["session_id"],
        "CPR_SESSION_NAME": session["name"],
        "CPR_SESSION_STATE": session["state"],
        "CPR_SESSION_PATH": session["path"],
    }
    texts = {name: str(value or "").replace("\0", "") for name, value in variables.items()}
    argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
    _call(argv, json.dumps(fields).encode() + b"\n", texts)


def _call(argv: list[str], data: bytes, variables: dict[str, str]) -> None:
    """Runs a program; what it prints goes nowhere, for it may hold a secret."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **variables},
            cwd=_home(),
            start_new_session=True,
        )
    except OSError as error:
        raise NotSent(f"its program can't be started: {error.strerror}", is_final=True) from None
    try:
        process.communicate(data, timeout=_COMMAND_S)
    except subprocess.TimeoutExpired:
        raise NotSent(f"its command took more than {_COMMAND_S:.0f} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        is_missing = process.returncode in (126, 127)
        raise NotSent(f"its command ended with exit code {process.returncode}", is_final=is_missing)


def _home() -> str:
    home = Path("~").expanduser()
    return str(home) if home.is_dir() else "/"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, which sends nothing."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Follows none."""


def _without_login(url: str) -> tuple[str, dict[str, str]]:
    """An address without its user and password, and the header that has them.

    `urllib` would look up all of it as the name of a host.
    """
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    text = base64.b64encode(unquote(login).encode()).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {text}"}


def _post(url: str, notice: Notice) -> None:
    try:
        address, login = _without_login(url)
        request = urllib.request.Request(  # noqa: S310 - http or https, checked at the launch
            address,
            data=json.dumps(notice.as_json(local=False)).encode(),
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": notice.key,
                "User-Agent": "cpr_nb",
                **login,
            },
        )
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=_REQUEST_S) as response:
            response.read(1)
    except urllib.error.HTTPError as error:
        is_final = error.code < 500 and error.code not in _PASSING
        error.close()
        raise NotSent(f"its webhook answered HTTP {error.code}", is_final=is_final) from None
    except urllib.error.URLError as error:
        reason = error.reason
        words = reason.strerror if isinstance(reason, OSError) else ""
        raise NotSent(f"its webhook can't be reached: {words or type(reason).__name__}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotSent(f"its webhook can't be reached: {type(error).__name__}") from None


def _send_by_apprise(url: str, notice: Notice) -> None:
    from cpr_nb.notices.apprise_service import send_by_apprise

    try:
        is_sent = send_by_apprise(url, notice)
    except ImportError:
        raise NotSent("Apprise is not installed any more", is_final=True) from None
    except Exception as error:  # its message may hold the URL
        raise NotSent(f"Apprise failed: {type(error).__name__}") from None
    if not is_sent:
        raise NotSent("its service did not accept it")
