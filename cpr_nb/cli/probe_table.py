"""``cpr doctor --probe``: runs the probe as a process of its own, and prints its table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from cpr_nb import __version__
from cpr_nb.cli.common import note, print_json, print_lines
from cpr_nb.launching.cli_cache import read_record
from cpr_nb.model.cli_versions import show
from cpr_nb.model.text import one_line

_MARKS = {"kept": "✓", "broken": "✕", "refused": "–", "not tried": "–"}
_WIDTH = 20


def run_probe(claude_path: str, *, as_json: bool) -> int:
    """Probes a CLI, prints what was found, and keeps it for that program.

    Args:
        claude_path: The CLI.
        as_json: Whether to print JSON instead of a table.

    Returns:
        0 if every promise was kept; else 1.
    """
    record = read_record(claude_path, os.environ)
    version = show(record.version) if record.version else "of an unknown version"
    if not as_json:
        print_lines([f"Claude Code {version}, {claude_path}", ""])
    findings = []
    for finding in _findings(claude_path):
        findings.append(finding)
        if not as_json:
            print_lines(_lines(finding))
            sys.stdout.flush()
    if as_json:
        print_json({"claude_path": claude_path, "version": version, "findings": findings})
    broken = [one["name"] for one in findings if one["verdict"] == "broken"]
    n_kept = sum(one["verdict"] == "kept" for one in findings)
    if not findings:
        note("the probe ended without a result")
        return 1
    record.keep(probe={"cpr_nb": __version__, "broken": broken, "n_kept": n_kept})
    if not as_json:
        print_lines(["", _summary(n_kept, broken, len(findings))])
    return 0 if n_kept and not broken else 1


def _findings(claude_path: str) -> Iterator[dict[str, Any]]:
    """What the probe's own process finds. It gets nothing of the user's environment but PATH."""
    argv = [sys.executable, "-I", "-m", "cpr_nb.probe", claude_path]
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    with (
        tempfile.TemporaryDirectory(prefix="cpr-probe-home-") as home,
        subprocess.Popen(argv, env={**kept, "HOME": home}, stdout=subprocess.PIPE) as process,  # noqa: S603
    ):
        try:
            for line in process.stdout or ():
                yield json.loads(line)
        except BaseException:
            process.terminate()  # it cancels what it has started
            raise


def _lines(finding: Mapping[str, Any]) -> Iterator[str]:
    begin = f"{_MARKS[finding['verdict']]} {finding['name']:<{_WIDTH}}"
    if finding["refusal"]:
        yield f"{begin}{finding['verdict']}: {one_line(finding['refusal'])}"
        return
    yield begin + in_words(finding["expected"])
    if finding["wrong"]:
        yield f"{'':>{_WIDTH + 2}}but was: {in_words(finding['wrong'])}"
        yield f"{'':>{_WIDTH + 2}}the promise: {finding['promise']}"


def in_words(fields: Mapping[str, Any]) -> str:
    """What a scenario expects, or what was seen, on one line.

    Example:
        >>> in_words({"outcome": "failed", "requests": 0})
        'outcome failed, requests 0'
    """
    return ", ".join(f"{name} {_value(value)}" for name, value in fields.items())


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return one_line(text.replace('"', ""), 80) or "(empty)"


def _summary(n_kept: int, broken: list[str], n_findings: int) -> str:
    n_unrun = n_findings - n_kept - len(broken)
    unrun = f"; {n_unrun} not tried" if n_unrun else ""
    if broken:
        return f"✕ {len(broken)} of {n_findings} promises broken: {', '.join(broken)}{unrun}"
    return f"✓ {n_kept} promises kept{unrun}" if n_kept else "✕ nothing could be tried"
