"""The input tokens of a row of `cpr_nb.map` with a schema, in each form that a task can have.

The scripted API on the loopback interface counts them: four bytes of a request are one token. Cold,
a row pays for all of them. Warm, it pays for what the prompt cache does not have yet.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import detached
from benchmarks.lab import Lab
from benchmarks.real_cli import real_claude
from benchmarks.report import Comparison
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

_N_ROWS, _QUICK_N_ROWS = 300, 2
_LIMIT = 0.08
_SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
_ANSWER = {"default": [{"so": {"label": "good"}}, {"text": "Done."}]}
_TODAY = "the default form"
#: The forms that are compared with a map without any further option.
_FORMS: Mapping[str, Mapping[str, Any]] = {
    "permissions=read": {"permissions": "read"},
    "tools=[]": {"tools": []},
    "light": {"light": True},
    "light, shared": {"light": True, "share_process": True},
    "light, with a login": {"light": True},
    "light, shared, with a login": {"light": True, "share_process": True},
}


def measure_tokens(lab: Lab) -> Iterator[Comparison]:
    """Each form in a session of its own, with a prompt cache of its own."""
    detached.adopt_orphans()
    claude = real_claude()
    n_rows = _QUICK_N_ROWS if lab.quick else _N_ROWS
    today = _rows(lab, claude, n_rows, {})
    plain = _without_cpr(lab, claude)
    label = f"{n_rows} rows with a schema"
    yield _compared(f"{label}, cold", today[0], "claude -p alone, one row", plain, None)
    for form, options in _FORMS.items():
        subscription = form.endswith("login")
        sent, paid = _rows(lab, claude, n_rows, options, subscription=subscription)
        limit = _LIMIT if "light" in options else None
        yield _compared(f"{label}, {form}, cold", sent, _TODAY, today[0], limit)
        yield _compared(f"{label}, {form}, warm", paid, _TODAY, today[1], None)


def _rows(
    lab: Lab,
    claude: Path,
    n_rows: int,
    options: Mapping[str, Any],
    *,
    subscription: bool = False,
) -> tuple[float, float]:
    """The tokens that a row sends, and those of them that the prompt cache did not have."""
    prompts = [_prompt(number) for number in range(n_rows)]
    with ScriptedApi(_ANSWER) as api:
        folder, home = lab.fresh("cli-tokens"), lab.fresh("cli-home")
        environment = cli_environment(api.url, home, subscription=subscription)
        detached.run_session(prompts, claude, folder, environment, schema=_SCHEMA, **options)
        read, write = api.cache_use.read_tokens, api.cache_use.write_tokens
    return (read + write) / n_rows, write / n_rows


def _without_cpr(lab: Lab, claude: Path) -> float:
    """The tokens of one row where nobody says which tools there are."""
    with ScriptedApi(_ANSWER) as api:
        argv = [str(claude), "-p", "--json-schema", json.dumps(_SCHEMA)]
        environment = cli_environment(api.url, lab.fresh("cli-home"))
        folder = lab.fresh("cli-tokens")
        text = _prompt(0).encode()
        subprocess.run(
            argv, input=text, env=environment, cwd=folder, capture_output=True, check=True
        )
        return float(api.cache_use.read_tokens + api.cache_use.write_tokens)


def _prompt(number: int) -> str:
    return f"Is review {number} good or bad? The battery lasts two days, but the screen is dim."


def _compared(
    label: str, ours: float, against: str, theirs: float, limit: float | None
) -> Comparison:
    ratio = ours / theirs
    goal, met = ("", None) if limit is None else (f"≤ {limit:g}", ratio <= limit)
    figures = (f"{tokens:,.0f} tokens" for tokens in (ours, theirs))
    return Comparison(label, next(figures), against, next(figures), ratio, goal, met)
