#!/usr/bin/env bash
# distributed 2026.8.0: a task that runs is cancelled; then new tasks are submitted.
#
# Expected: the new tasks go to the worker that is idle, or the cancelled task stops.
# Seen: the future is `cancelled` at once, and the scheduler counts its worker as free. But the
# task runs to its end there. So at least one of eight new tasks of a tenth of a second waits
# behind it for eight seconds, although the other worker is idle. (Stealing brings the rest over.)
#
# Exits with 0 while this behaves so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q distributed==2026.8.0 dask==2026.8.0
cd "$folder"
cat > example.py <<'PYTHON'
import sys
import time
from pathlib import Path

from distributed import Client, LocalCluster, wait

LONG_S = 8


def long_task(folder: str) -> None:
    Path(folder, "begun").touch()
    time.sleep(LONG_S)
    Path(folder, "ended").touch()


def short_task(number: int) -> float:
    time.sleep(0.1)
    return time.time()


def main() -> int:
    folder = Path.cwd()
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster, Client(cluster) as client:
        client.submit(short_task, 0, pure=False).result()
        future = client.submit(long_task, str(folder), pure=False)
        while not (folder / "begun").exists():
            time.sleep(0.05)
        future.cancel()
        while future.status != "cancelled":
            time.sleep(0.05)
        processing = {w: len(t) for w, t in client.processing().items()}
        began = time.time()
        futures = [client.submit(short_task, n, pure=False) for n in range(8)]
        wait(futures)
        waited = sorted(round(end - began, 1) for end in client.gather(futures))
        print("tasks that the scheduler counts at work after the cancel:", processing)
        print("the 8 short tasks ended after, in s:", waited)
        print("the cancelled task ran to its end:", (folder / "ended").exists())
        late = [end for end in waited if end > LONG_S / 2]
        return 0 if (folder / "ended").exists() and late and not any(processing.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
PYTHON
"$folder/venv/bin/python" example.py
