"""The settings of a launch: the caller's, those of ``[tool.cpr]``, and the user's own file.

A caller goes before the environment, that before the repository, and that before the user's own
file. But a repository can only narrow what the user's own file forbids or limits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from cpr_nb.launching.repository_trust import Repository, claims, trust_command
from cpr_nb.model.errors import InputError, NotTrusted
from cpr_nb.model.option_values import check_options
from cpr_nb.model.options import ASKS, OPTIONS, REFUSED
from cpr_nb.store.catalog import beside
from cpr_nb.store.settings_files import repository_table, user_table
from cpr_nb.store.state_dir import config_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Keywords of `cpr_nb.launch` that are not options of a session.
LOCATIONS = ("results_dir", "claude_path")
#: The variables that go before a file.
VARIABLES = {"results_dir": "CPR_RESULTS_DIR", "claude_path": "CPR_CLAUDE"}
#: Limits: of the repository's and the user's own, the smaller one holds.
_LIMITS = ("budget_usd", "task_budget_usd")
_SECTION = "pyproject.toml [tool.cpr]"
#: Options about which a launch asks. None for one of them means that it is not wanted, whatever a
#: file says.
ASKED = tuple(o.name for o in OPTIONS.values() if o.from_repository == ASKS)


class Settings:
    """The settings of a launch.

    Args:
        locations: Those of `LOCATIONS`.
        options: The options.
        warnings: What of the repository is not used.
    """

    __slots__ = ("locations", "options", "warnings")

    def __init__(
        self, locations: dict[str, Any], options: dict[str, Any], warnings: list[str]
    ) -> None:
        self.locations = locations
        self.options = options
        self.warnings = warnings


def merge_settings(options: Mapping[str, Any]) -> Settings:
    """Adds the settings of the repository and of the user's own file to the keywords of a launch.

    Args:
        options: The keywords; those that are None count as not given, but for `ASKED`.

    Raises:
        InputError: If a file sets what it may not set, or an unknown option.
        NotTrusted: If the repository says what to run, the caller does not, and the user has not
            trusted it.
    """
    keywords = {name: value for name, value in options.items() if value is not None}
    unwanted = {name for name in ASKED if name in options and options[name] is None}
    own = read_user_settings()
    path, table = read_repository_settings(os.getcwd())
    files, warnings = own, list[str]()
    if table:
        silent = {*keywords, *unwanted, *_from_environment()}
        left_out, warnings = _untrusted(path, table, silent)
        offered = {name: value for name, value in table.items() if name not in left_out}
        files = _narrowed(own, offered)
        if "results_dir" in offered:
            files["results_dir"] = beside(path, offered["results_dir"])
    for name in (*unwanted, *_from_environment()):
        files.pop(name, None)
    merged = {**files, **keywords}
    locations = {name: merged.pop(name) for name in LOCATIONS if name in merged}
    return Settings(locations, merged, warnings)


def read_user_settings() -> dict[str, Any]:
    """The user's own settings, checked; everything may stand there.

    Raises:
        InputError: If something in it can't be right.
    """
    table = user_table()
    if not isinstance(table.get("claude_path", ""), str):
        raise InputError("must be a text", f"{config_file()}: claude_path")
    return _checked(table, config_file())


def read_repository_settings(folder: str) -> tuple[str, dict[str, Any]]:
    """``[tool.cpr]`` of the nearest pyproject.toml, checked, and the path of that file.

    Raises:
        InputError: If it sets what a repository may not set, or an unknown option.
    """
    path, table = repository_table(folder)
    for name in _refused(table):
        raise InputError(
            "is not allowed here: whoever wrote this repository could run anything with it; "
            "set it on the command line",
            f"{_SECTION}.{name}",
        )
    return path, _checked(table, _SECTION)


def named_claude(option: str | None) -> str | None:
    """The CLI that the option, else the user's own settings name; ``CPR_CLAUDE`` goes before these.

    Args:
        option: The option, or None if it is not given.
    """
    if option is not None or os.environ.get(VARIABLES["claude_path"]):
        return option
    return read_user_settings().get("claude_path")


def _refused(table: Mapping[str, Any]) -> list[str]:
    names = [o.name for o in OPTIONS.values() if o.from_repository == REFUSED]
    refused = [name for name in ("claude_path", *names) if name in table]
    return [*refused, *(["permissions"] if table.get("permissions") == "all" else [])]


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A file's settings in the form of options; an empty table costs nothing."""
    locations = {name: table[name] for name in LOCATIONS if name in table}
    options = {name: value for name, value in table.items() if name not in LOCATIONS}
    return {**locations, **check_options(options, where)}


def _from_environment() -> list[str]:
    return [name for name, variable in VARIABLES.items() if os.environ.get(variable)]


def _untrusted(path: str, table: Mapping[str, Any], given: set[str]) -> tuple[set[str], list[str]]:
    """The names that must not be used, and the line that says so.

    Raises:
        NotTrusted: If leaving one of them out would change what the launch does.
    """
    wanted = {name: value for name, value in claims(path, table).items() if name not in given}
    if not wanted:
        return set(), []
    folder = os.getcwd()
    repository = Repository(folder, os.environ)
    if repository.is_trusted:
        return set(), []
    asked = {name: value for name, value in wanted.items() if name in (*ASKED, "results_dir")}
    if asked:
        raise NotTrusted(_refusal(asked, folder), folder)
    names = ", ".join(wanted)
    line = (
        f"🔒 not used until you trust it: {names} of {path} [tool.cpr]   ({trust_command(folder)})"
    )
    return set(wanted), [line]


def _refusal(asked: Mapping[str, Any], folder: str) -> str:
    lines = [f"{_SECTION} says what to run, and nobody here has trusted it:"]
    lines += [f"    {name} = {value!r}" for name, value in asked.items()]
    lines.append(f"  {trust_command(folder)}   shows it and asks   (in Python: cpr.trust())")
    name, value = next(iter(asked.items()))
    flag = OPTIONS[name].flag if name in OPTIONS else "--results-dir"
    none = f"   or {name}=None" if name in ASKED else ""
    lines.append(f"  {flag} {value!r}{none}: say it yourself")
    return "\n".join(lines)


def _narrowed(own: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of both files: a repository can't undo what the user's own file forbids."""
    merged = {**own, **table}
    if "deny" in own and "deny" in table:
        merged["deny"] = [*own["deny"], *table["deny"]]
    for name in _LIMITS:
        if name in own and name in table:
            merged[name] = min(own[name], table[name])
    if "reserve" in own and "reserve" in table:
        merged["reserve"] = max(own["reserve"], table["reserve"])
    return merged
