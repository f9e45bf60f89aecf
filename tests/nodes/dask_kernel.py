"""A person's kernel with a client of Dask: it launches a session, says where it is, and waits.

Usage: python dask_kernel.py SETTINGS.json < PROMPTS

Settings: ``{"scheduler": ADDRESS or "", "n_workers": N, "options": {…}}``; without an address it
has a LocalCluster of worker processes. It ends with its stdin.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from distributed import Client, LocalCluster

import cpr_nb as cpr


def main(path: str) -> None:
    settings = json.loads(Path(path).read_text())
    tasks = json.loads(sys.stdin.readline())
    cluster = None
    if not settings["scheduler"]:
        n_workers = settings["n_workers"]
        cluster = LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None)
    with Client(cluster or settings["scheduler"]) as client:
        client.wait_for_workers(settings["n_workers"], timeout=120)
        session = cpr.launch(tasks, executor=client, **settings["options"])
        print(session.path, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
