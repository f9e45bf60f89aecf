"""Compares our sums of transcripts with those of ccusage, a program with the same aim.

    python tests/transcripts/compare_ccusage.py            the recorded conversation
    python tests/transcripts/compare_ccusage.py FOLDER     a configuration folder, such as ~/.claude
    python tests/transcripts/compare_ccusage.py --record   plays the conversation again, and records

It gets ccusage by npx, and needs node. ccusage runs without the network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
RECORDED = HERE / "recorded"
VERDICT = RECORDED / "ccusage.json"
CCUSAGE = "ccusage@17.2.1"
KINDS = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheReadTokens": "cache_read_tokens",
    "cacheCreationTokens": "cache_write_tokens",
}
# Lines that have no usage and no part in the tree, or only fill the file.
_LEFT_OUT = ("attachment", "api-request", "api-request-shape", "api-request-blob", "tools-used")
_LONG_CHARS = 2000


def ccusage_sums(configuration: Path) -> dict[str, float]:
    """What ccusage says of a configuration folder: tokens by our names, and the cost."""
    done = subprocess.run(
        ["npx", "--yes", CCUSAGE, "daily", "--json", "--offline"],
        env={**os.environ, "CLAUDE_CONFIG_DIR": str(configuration)},
        capture_output=True,
        timeout=300,
        check=True,
    )
    totals = json.loads(done.stdout)["totals"]
    return {ours: totals[theirs] for theirs, ours in KINDS.items()} | {
        "cost_usd": round(totals["totalCost"], 9)
    }


def our_sums(configuration: Path) -> dict[str, float]:
    """What we say of it."""
    import cpr_nb as cpr

    messages = cpr.transcripts(configuration / "projects").messages_df()
    sums: dict[str, float] = {name: int(messages[name].sum()) for name in KINDS.values()}
    return sums | {"cost_usd": round(float(messages["cost_usd"].sum()), 9)}


def record() -> None:
    """Plays a conversation with a subagent, a resume, a fork and a rewind, and keeps its files."""
    import shutil

    from testkit.conversation import play_conversation

    with tempfile.TemporaryDirectory() as folder:
        configuration = play_conversation(Path(folder))
        shutil.rmtree(RECORDED / "projects", ignore_errors=True)
        for path in sorted(configuration.glob("projects/**/*.jsonl")):
            below = path.relative_to(configuration / "projects").parts[1:]
            kept = RECORDED.joinpath("projects", "-w-project", *below)
            kept.parent.mkdir(parents=True, exist_ok=True)
            lines = (line.replace(folder, "/w") for line in path.read_text("utf-8").splitlines())
            kept.write_text("".join(f"{line}\n" for line in lines if _is_kept(line)), "utf-8")
    VERDICT.write_text(json.dumps(ccusage_sums(RECORDED), indent=1) + "\n")


def _is_kept(line: str) -> bool:
    fields: dict[str, Any] = json.loads(line)
    return fields["type"] not in _LEFT_OUT and len(line) < _LONG_CHARS


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        record()
    chosen = RECORDED if sys.argv[1:] in ([], ["--record"]) else Path(sys.argv[1])
    ours, theirs = our_sums(chosen), ccusage_sums(chosen)
    for name in ours:
        mark = "equal" if ours[name] == theirs[name] else "DIFFERENT"
        print(f"{name:20} {ours[name]:>16,} {theirs[name]:>16,}  {mark}")
