"""Notices by Apprise: the services that it knows, each by a URL such as ``slack://…``."""

from __future__ import annotations

import logging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.notices.notice_text import Notice

_EXTRA = "pip install 'cpr_nb[notify]'"


def problem_of(url: str) -> str:
    """Why a notice can't be sent to a URL; empty if it can. It does not repeat the URL.

    Args:
        url: The URL.
    """
    try:
        import apprise
    except ImportError:
        return f"sends to a URL that is not http(s) by Apprise, which is not installed: {_EXTRA}"
    with _Silence():
        if apprise.Apprise().add(url):
            return ""
    return (
        "is a URL that Apprise does not know; https://appriseit.com lists how a URL of each "
        "service is written (the URL is not repeated here: it is a secret)"
    )


def send_by_apprise(url: str, notice: Notice) -> bool:
    """Sends a notice; whether the service accepted it.

    Args:
        url: The URL.
        notice: The notice.

    Raises:
        ImportError: If Apprise is not installed.
    """
    import apprise

    kinds = {
        "failed": apprise.NotifyType.FAILURE,
        "waiting": apprise.NotifyType.WARNING,
    }
    with _Silence():
        service = apprise.Apprise()
        service.add(url)
        kind = kinds.get(notice.event, apprise.NotifyType.INFO)
        return bool(service.notify(title=notice.title, body=notice.text, notify_type=kind))


class _Silence:
    """Nothing is logged meanwhile: what Apprise logs may hold the URL."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)

    def __exit__(self, *error: object) -> None:
        logging.disable(self._before)
