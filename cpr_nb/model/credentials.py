"""Where a run's credential comes from: a refused one of its environment can't be mended there."""

from __future__ import annotations

from cpr_nb.model.limits import ACCESS, LOGIN, Limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

#: The variable that brings a key of the API.
API_KEY = "ANTHROPIC_API_KEY"
_TOKENS = ("ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
#: The variables that bring a credential.
VARIABLES = (API_KEY, *_TOKENS)
#: How often the CLI's request is refused (401) before such a credential counts as not valid: about
#: six seconds. The CLI itself tries ten times, for three minutes.
PATIENT_REFUSALS = 3


def fixed_variable(init: dict[str, Any] | None, variables: Collection[str]) -> str:
    """The variable whose credential a run uses; empty if it may change while the runner lives.

    A login that the CLI keeps, a helper that prints a key and a key in a settings file may change.

    Args:
        init: The run's ``system/init`` event, if there was one.
        variables: The names of the variables in its environment.

    Example:
        >>> fixed_variable({"apiKeySource": "ANTHROPIC_API_KEY"}, ["ANTHROPIC_API_KEY"])
        'ANTHROPIC_API_KEY'
        >>> fixed_variable({"apiKeySource": "apiKeyHelper"}, ["ANTHROPIC_API_KEY"])
        ''
    """
    source = init.get("apiKeySource") if init else None
    if source == API_KEY:
        return API_KEY if API_KEY in variables else ""
    if source in (None, "none"):
        return next((name for name in _TOKENS if name in variables), "")
    return ""


def without_wait(limit: Limit | None, variable: str, own: Collection[str]) -> Limit | None:
    """The limit as it is for a run: nobody waits for a login that can't come.

    Args:
        limit: What the run reports.
        variable: The variable whose credential it uses, as `fixed_variable` returns it.
        own: The variables that its task alone has.

    Example:
        >>> without_wait(Limit(LOGIN), "ANTHROPIC_API_KEY", ()).kind
        'access'
    """
    if limit is None or limit.kind != LOGIN or not variable:
        return limit
    what = "key" if variable == API_KEY else "token"
    error = f"the API does not accept the {what} in {variable}: set another"
    return Limit(ACCESS, error=error, is_shared=variable not in own)
