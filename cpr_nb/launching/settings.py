"""The settings of a launch: the caller's, and those of ``[tool.cpr]`` in pyproject.toml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import check_options
from cpr_nb.store import catalog

#: Keywords of `cpr_nb.launch` that are not options of a session.
LOCATIONS = ("results_dir", "claude_path")
#: What ``[tool.cpr]`` may not set. (Nor may it set ``permissions`` to ``all``.)
NOT_FROM_A_REPOSITORY = (
    "claude_path",
    "claude_args",
    "env",
    "agents",  # they may bring MCP servers
    "mcp_servers",
    "settings",  # they may have hooks
)


def merge_settings(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Adds ``[tool.cpr]`` of the nearest pyproject.toml to the keywords of a launch.

    Args:
        options: The keywords; those that are None count as not given.

    Returns:
        The locations (`LOCATIONS`), and the options.

    Raises:
        InputError: If ``[tool.cpr]`` sets what a repository may not set, or an unknown option.
    """
    settings = _repository_settings()
    keywords = {name: value for name, value in options.items() if value is not None}
    merged = {**settings, **keywords}
    if "CPR_RESULTS_DIR" in os.environ and "results_dir" not in keywords:
        merged.pop("results_dir", None)  # the environment goes before the file
    locations = {name: merged.pop(name) for name in LOCATIONS if name in merged}
    return locations, merged


def _repository_settings() -> dict[str, Any]:
    settings = catalog.settings(str(Path.cwd()))
    section = "pyproject.toml [tool.cpr]"
    refused = [name for name in NOT_FROM_A_REPOSITORY if name in settings]
    if settings.get("permissions") == "all":
        refused.append("permissions")
    for name in refused:
        raise InputError(
            "is not allowed here: whoever wrote this repository could run anything with it; "
            "set it on the command line",
            f"{section}.{name}",
        )
    options = {name: value for name, value in settings.items() if name != "results_dir"}
    check_options(options, section)
    return settings
