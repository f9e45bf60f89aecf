"""Tries cpr with many versions of the CLI: `cpr doctor --probe` on each, and one table of it all.

Usage: python tests/battery.py [--binaries FOLDER] [--docs] [--oldest | VERSION …]

A binary is FOLDER/VERSION/claude. What is not there comes from the wheel of claude-agent-sdk
that carries it, by pip, into the user's cache folder. `--docs` writes a summary into
docs/versions.md. It exits with 1 if a supported version breaks a promise, or an old one is not
refused.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cpr_nb.cli.probe_table import in_words
from cpr_nb.model.cli_versions import OLDEST_SUPPORTED, parse_version, show

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "versions.md"
#: Version of the CLI → version of claude-agent-sdk whose wheel carries it.
WHEELS = {
    "2.0.45": "0.1.8",
    "2.1.29": "0.1.27",
    "2.1.71": "0.1.48",
    "2.1.126": "0.1.72",
    "2.1.227": "0.2.135",
    "2.1.280": "0.2.158",
    "2.1.305": "0.2.169",
    "2.1.316": "0.2.176",
    "2.1.332": "0.2.189",
}
#: Its wheel is withdrawn: PyPI still has it for who asks for exactly this version, but may not for
#: long.
WITHDRAWN = ("0.1.8",)
_MARKS = {"kept": "✓", "broken": "✕", "refused": "refused", "not tried": "–"}
_BUNDLED = "claude_agent_sdk/_bundled/claude"

Findings = list[dict[str, Any]]


def main(arguments: list[str]) -> int:
    """Gets the binaries, probes each, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("versions", nargs="*", default=list(WHEELS), metavar="VERSION")
    parser.add_argument("--binaries", type=Path, default=cache_folder(), metavar="FOLDER")
    parser.add_argument("--docs", action="store_true", help="write the table into the docs")
    parser.add_argument("--oldest", action="store_true", help="only the oldest supported version")
    chosen = parser.parse_args(arguments)
    if chosen.oldest:
        chosen.versions = [show(OLDEST_SUPPORTED)]
    found: dict[str, Findings] = {}
    print("| version | scenario | truth | cpr says |\n|---|---|---|---|")
    for version in chosen.versions:
        binary = get_binary(version, chosen.binaries)
        if isinstance(binary, str):
            print(f"| {version} | all | – | not tried: {binary} |", flush=True)
            continue
        found[version] = probe(binary)
        for row in rows(version, found[version]):
            print(row, flush=True)
    if chosen.docs:
        write_page(found)
    bad = [version for version, findings in found.items() if is_bad(version, findings)]
    print(f"\nlies or missing refusals: {', '.join(bad)}" if bad else "\nno lie")
    return 1 if bad or not found else 0


def get_binary(version: str, folder: Path) -> Path | str:
    """The path of a CLI, downloaded if need be; or, as a text, why there is none."""
    path = folder / version / "claude"
    if path.exists():
        return path
    wheel = WHEELS.get(version)
    if wheel is None:
        return f"no wheel is known to carry it: put it at {path}"
    with tempfile.TemporaryDirectory() as download:
        words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", download]
        done = subprocess.run(
            [*words, f"claude-agent-sdk=={wheel}"], capture_output=True, text=True, check=False
        )
        files = list(Path(download).glob("*.whl"))
        if done.returncode or not files:
            withdrawn = " (withdrawn from PyPI)" if wheel in WITHDRAWN else ""
            last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            return f"the wheel of claude-agent-sdk {wheel}{withdrawn} can't be had: pip says {last}"
        with zipfile.ZipFile(files[0]) as archive:
            if _BUNDLED not in archive.namelist():
                return f"the wheel of claude-agent-sdk {wheel} carries no CLI for this machine"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(_BUNDLED))
    path.chmod(0o755)
    return path


def probe(binary: Path) -> Findings:
    """What ``cpr doctor --probe`` finds."""
    command = [sys.executable, "-m", "cpr_nb.cli.main", "doctor", "--probe", "--json"]
    with tempfile.TemporaryDirectory() as home:  # what it keeps of the binary is of no use here
        done = subprocess.run(
            [*command, "--claude-path", str(binary)],
            env={"PATH": os.environ["PATH"], "HOME": home},
            stdout=subprocess.PIPE,
            check=False,
        )
    findings: Findings = json.loads(done.stdout)["findings"]
    return findings


def rows(version: str, findings: Findings) -> Iterator[str]:
    """The lines of the table: what is true, and what cpr says."""
    for finding in findings:
        truth = _plain(in_words(finding["expected"])) or "–"
        says = "the same"
        if finding["refusal"]:
            says = f"{finding['verdict']}: {_plain(finding['refusal'])}"
        elif finding["wrong"]:
            says = _plain(in_words(finding["wrong"]))
        yield f"| {version} | {finding['name']} | {truth} | {says} |"


def is_bad(version: str, findings: Findings) -> bool:
    """Whether cpr lies about this version, or does not refuse it though it is too old."""
    if (parse_version(version) or OLDEST_SUPPORTED) < OLDEST_SUPPORTED:
        return not all(finding["refusal"] for finding in findings)
    kept = [finding for finding in findings if finding["verdict"] == "kept"]
    return not kept or any(finding["verdict"] == "broken" for finding in findings)


def write_page(found: Mapping[str, Findings]) -> None:
    """Writes a row per scenario and a column per version into docs/versions.md."""
    names = dict.fromkeys(finding["name"] for findings in found.values() for finding in findings)
    lines = [f"| scenario | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    for name in names:
        marks = [_mark(findings, name) for findings in found.values()]
        lines.append(f"| {name} | {' | '.join(marks)} |")
    lines += ["", "What was refused or not tried, in words:", ""]
    lines += dict.fromkeys(
        f"- {version}: {_plain(finding['refusal'])}"
        for version, findings in found.items()
        for finding in findings
        if finding["refusal"]
    )
    part = re.compile(r"(?<=<!-- battery -->\n).*?(?=<!-- end of battery -->)", re.DOTALL)
    text = "\n".join(lines) + "\n"
    PAGE.write_text(part.sub(lambda _: text, PAGE.read_text("utf-8")), "utf-8")


def _mark(findings: Findings, name: str) -> str:
    verdicts = [finding["verdict"] for finding in findings if finding["name"] == name]
    return _MARKS[verdicts[0]] if verdicts else ""


def _plain(text: str) -> str:
    """A text for a cell: on one line, without paths of this machine."""
    return re.sub(r"/\S*/claude\b", "claude", " ".join(text.split())).replace("|", "\\|")


def cache_folder() -> Path:
    named = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named).expanduser() / "cpr_nb-battery"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
