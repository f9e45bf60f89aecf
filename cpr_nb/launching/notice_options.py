"""Where the notices of a launch go: checked before anything is spent, kept when it starts."""

from __future__ import annotations

from collections.abc import Mapping

from cpr_nb.model.destinations import (
    APPRISE,
    DESKTOP,
    NOTICE_OPTIONS,
    VARIABLE,
    WEBHOOK,
    Destination,
    check_destination,
    variables_of,
)
from cpr_nb.model.errors import InputError, StateDirError
from cpr_nb.model.states import NO_NOTICE
from cpr_nb.store.kept_destinations import keep, read_kept, with_reference
from cpr_nb.store.key import own_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def plan_notices(options: dict[str, Any], environ: dict[str, str]) -> list[str]:
    """Replaces each destination by one that names where it is kept.

    Args:
        options: The checked options of the session; changed in place.
        environ: The environment that tasks inherit; a variable with the URL of a webhook is taken
            out of it, for agents have no use for it.

    Returns:
        What the user should know.

    Raises:
        InputError: If a notice can't be sent so.
    """
    warnings = []
    for name in NOTICE_OPTIONS:
        if name in options:
            made = _resolved(options[name], environ, name)
            warnings += _check(made, name)
            options[name] = _with_reference(made, name)
    for name in variables_of(options):
        environ.pop(name, None)
    return warnings


def keep_notices(options: dict[str, Any]) -> None:
    """Keeps in the state directory what the destinations of a launch stand for.

    Args:
        options: The options of its plan.

    Raises:
        StateDirError: If that can't be written.
    """
    for name in NOTICE_OPTIONS:
        destination = options.get(name)
        if isinstance(destination, Destination):
            try:
                keep(destination)
            except OSError as error:
                raise StateDirError(
                    f"can't keep where {name} sends its notice: {error.strerror or error}"
                ) from None


def _resolved(destination: Destination, environ: Mapping[str, str], name: str) -> Destination:
    """A destination whose variable is replaced by its value."""
    if destination.kind != VARIABLE:
        return destination
    variable = str(destination.secret)
    if not environ.get(variable, "").strip():
        raise InputError(f"the variable {variable} is not set, or is empty", name)
    made = check_destination(environ[variable], name)
    if made.kind not in (WEBHOOK, APPRISE):
        raise InputError(f"the value of the variable {variable} must be a URL", name)
    return Destination(made, made.kind, made.secret, variable)


def _check(destination: Destination, name: str) -> list[str]:
    """Checks that this machine can send it; returns what the user should know."""
    if destination.kind == DESKTOP:
        from cpr_nb.notices.notice_senders import desktop_program

        if not desktop_program():
            return [f"{name}: nothing here shows notices on a desktop (notify-send, osascript)"]
    if destination.kind == APPRISE and isinstance(destination.secret, str):
        from cpr_nb.notices.apprise_service import problem_of

        if problem := problem_of(destination.secret):
            raise InputError(problem, name)
    is_kept_elsewhere = destination.secret is None and destination.kind not in (DESKTOP, NO_NOTICE)
    if is_kept_elsewhere and read_kept(destination) is None:
        return [f"{name}: where its notice goes is not kept on this machine, so none is sent"]
    return []


def _with_reference(destination: Destination, name: str) -> Destination:
    if destination.secret is None:
        return destination
    key = own_key()
    if key is None:
        raise InputError(
            "needs a state directory, which keeps where it goes: set HOME or CPR_STATE_DIR", name
        )
    return with_reference(destination, key)
