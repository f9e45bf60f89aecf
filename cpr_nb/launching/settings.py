"""The settings of a launch: what was given, and ``[tool.cpr]`` of a pyproject.toml below it."""

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
#: What ``[tool.cpr]`` may not set, and the permission that it may not give.
NOT_FROM_A_REPOSITORY = ("claude_path", "claude_args", "env", "all")


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
    for name in NOT_FROM_A_REPOSITORY:
        if name in settings or settings.get("permissions") == name:
            raise InputError(
                "may not stand here: whoever wrote this repository could run anything with it; "
                "give it on the command line",
                f"{section}.{name}",
            )
    options = {name: value for name, value in settings.items() if name != "results_dir"}
    check_options(options, section)
    return settings
