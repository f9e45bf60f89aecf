"""What Inspect's own readers say of a log, as JSON: run by a Python that has Inspect.

Usage: python inspect_readers.py LOG FOLDER

Into FOLDER go the log as Inspect itself writes it, ``.json`` and ``.eval``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def read(log: Path, folder: Path) -> dict[str, Any]:
    """What its tables and its log say; Inspect is imported in a process of its own."""
    words = [sys.executable, __file__, str(log), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main(log: str, folder: str) -> None:
    from inspect_ai.analysis import messages_df, samples_df
    from inspect_ai.log import convert_eval_logs, read_eval_log

    convert_eval_logs(log, "json", f"{folder}/json")
    convert_eval_logs(log, "eval", f"{folder}/eval")

    read_log = read_eval_log(log, resolve_attachments=True)
    answer = {
        "samples": json.loads(samples_df(log, quiet=True).to_json(orient="records")),
        "messages": json.loads(messages_df(log, quiet=True).to_json(orient="records")),
        "log": read_log.model_dump(mode="json"),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
