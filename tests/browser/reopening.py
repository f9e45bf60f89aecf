"""Saved notebooks opened again without their kernel: what a reader sees in each place.

Usage: python tests/browser/reopening.py [--only WORDS] [--pictures FOLDER]

Notebooks are executed by papermill and by nbclient, which store the state of widgets. They are
opened with it and without. Each shows a session, one of its tasks, a dashboard and charts, of a
session that has ended and of one that still ran.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

# For testkit.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Page
from testkit.jupyter import Browser, Server, write_notebook
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import cli_environment

NOWHERE = "http://127.0.0.1:9"
#: What executes the notebooks: name → its command, with the names of two files.
EXECUTORS: dict[str, Callable[[str, str], list[str]]] = {
    "papermill": lambda source, target: ["papermill", "--no-progress-bar", source, target],
    "nbclient": lambda source, target: ["jupyter", "execute", f"--output={target}", source],
}
_STATES = ("finished", "unfinished")
#: What a cell shows: the kind → the cell, and how many cards or charts there must be.
KINDS = {
    "session": "s",
    "show": "s.show()",
    "dashboard": "cpr.dashboard(s.path.parent)",
    "task": "s[0]",
    "timeline": "s.timeline()",
    "costs": "s.cost_chart()",
}
# What stands before an output.
_PROMPT = re.compile(r"(Out)?\[\d+\]:")
_CHARTS = ("timeline", "costs")
_BROKEN = re.compile(
    "model not found|displaying widget|creating widget|Loading widget|Javascript error|"
    "A Jupyter widget|is not (available|installed)",
    re.IGNORECASE,
)
#: A place → the address of a notebook in it, and the selectors of a code cell and of its outputs.
_LAB = ("lab/tree/{}?reset", ".jp-CodeCell", ".jp-OutputArea")
_NOTEBOOK = ("notebooks/{}", ".jp-CodeCell", ".jp-OutputArea")
_CLASSIC = ("nbclassic/notebooks/{}", ".code_cell", ".output_wrapper")
# In this order: what has been trusted once stays so.
PLACES = {
    "JupyterLab, not trusted": _LAB,
    "Notebook 7, not trusted": _NOTEBOOK,
    "nbclassic, not trusted": _CLASSIC,
    "JupyterLab, trusted": _LAB,
    "Notebook 7, trusted": _NOTEBOOK,
    "nbclassic, trusted": _CLASSIC,
    "nbconvert": ("", ".jp-CodeCell", ".jp-OutputArea"),
}
_SEEN = """([cell, output]) => [...document.querySelectorAll(cell)].map((node) => {
    const outputs = [...node.querySelectorAll(output)];
    const all = (selector) => outputs.flatMap((one) => [...one.querySelectorAll(selector)]);
    const count = (selector) => all(selector).filter((one) => one.checkVisibility()).length;
    return {text: outputs.map((one) => one.innerText).join(" "), n_cards: count(".cpr-card"),
            n_svgs: count("svg.cpr-chart"), n_images: count("img[src^='data:image/svg']")};
})"""
# How many cells have an output: the one that waits has, too.
_N_OUTPUTS = len(_STATES) * len(KINDS) + 1


class World(NamedTuple):
    """A Jupyter server, a browser, and a stand-in for the CLI."""

    server: Server
    browser: Browser
    stub: Stub
    env: Mapping[str, str]


class Row(NamedTuple):
    """What one output shows in one place.

    Args:
        place: The place, and what executed the notebook.
        kind: What the cell shows, and of which session.
        problem: What is wrong with it; empty if it is as it must be.
    """

    place: str
    kind: str
    problem: str


def environment(folder: Path) -> dict[str, str]:
    """The environment of a server and of its kernels, built from nothing."""
    (folder / "home").mkdir(parents=True, exist_ok=True)
    env = cli_environment(NOWHERE, folder / "home")
    places = {"JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_CONFIG_DIR": "config"}
    places |= {"JUPYTER_DATA_DIR": "data", "IPYTHONDIR": "ipython"}
    return env | {name: str(folder / place) for name, place in places.items()}


def stub_with_gate(folder: Path) -> Stub:
    """A stand-in for the CLI; the task that still runs waits at its gate."""
    stub = Stub(folder)
    stub.fifos("never")
    return stub


def write_source(folder: Path, stub: Stub) -> Path:
    """Writes the notebook whose outputs are looked at; returns its path."""
    cells = [
        f"import os\nimport time\nimport cpr_nb as cpr\nos.environ['CPR_CLAUDE'] = {str(stub)!r}"
    ]
    answer = plan(result={"result": "## Two *bugs*\n\n- one `<b>`"})
    fails = plan(result={"is_error": True, "subtype": "error_max_turns"})
    for state in _STATES:
        last = plan(gate="never") if state == "unfinished" else answer
        launch = (
            f"s = cpr.launch({[answer, fails, last]!r}, name={state!r}, attempts=1, "
            f"results_dir={f'{state}-results'!r})\n"
        )
        until = "s.wait()" if state == "finished" else _UNTIL_ONE_RUNS
        cells.append(f"{launch}{until}")
        cells += KINDS.values()
    path = folder / "source.ipynb"
    write_notebook(path, cells)
    return path


_UNTIL_ONE_RUNS = """\
def count(state):
    return s.refresh().snapshot.count(f"n_{state}")
while (count("succeeded"), count("failed"), count("running")) != (1, 1, 1):
    time.sleep(0.05)"""


def execute(world: World, executor: str) -> Path:
    """Executes the notebook in a folder of its own; returns the result."""
    folder = world.server.work / executor
    folder.mkdir()
    source, target = write_source(folder, world.stub), folder / f"{executor}.ipynb"
    command = EXECUTORS[executor](str(source), str(target))
    done = subprocess.run(
        [sys.executable, "-m", *command], env=world.env, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return target


def without_state(path: Path) -> Path:
    """Copies a notebook without the state of its widgets, as JupyterLab saves it."""
    notebook = json.loads(path.read_text("utf-8"))
    del notebook["metadata"]["widgets"]
    copy = path.with_name(f"{path.stem} without state.ipynb")
    copy.write_text(json.dumps(notebook), "utf-8")
    return copy


def stored_widgets(path: Path) -> list[str]:
    """The kinds of widget outputs in a notebook: there must be none."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    kinds = {kind for cell in cells for out in cell["outputs"] for kind in out.get("data", {})}
    return sorted(kind for kind in kinds if "widget" in kind)


def open_again(world: World, path: Path, place: str, pictures: Path | None = None) -> Iterator[Row]:
    """Opens a notebook in a place; yields what each output shows."""
    address, cell, output = PLACES[place]
    if place.endswith(", trusted"):
        _run(world, "trust", path)
    if address:
        name = quote(str(path.relative_to(world.server.work)))
        url = f"{world.server.url}/{address.format(name)}"
    else:
        _run(world, "nbconvert", "--to=html", path)
        url = path.with_suffix(".html").as_uri()
    page = world.browser.context.new_page()
    page.route("**/*", _only_here)
    try:
        page.goto(url)
        page.wait_for_function(
            "([selector, count]) => document.querySelectorAll(selector).length >= count",
            arg=[f"{cell} {output}", _N_OUTPUTS],
        )
        _await_kernel(page, place)
        if pictures is not None:
            page.set_viewport_size({"width": 1000, "height": 3200})
            (pictures / f"{path.stem}, {place}.png").write_bytes(page.screenshot())
        shown = page.evaluate(_SEEN, [cell, output])
        whole = page.locator("body").inner_text()
    finally:
        page.close()
    yield from judge(f"{path.stem}, {place}", shown, whole)


def judge(place: str, shown: list[dict[str, Any]], whole: str) -> Iterator[Row]:
    """Says of each output what is wrong with it."""
    broken = _BROKEN.search(whole)
    yield Row(place, "page", f"it says {broken[0]!r}" if broken else "")
    for i, state in enumerate(_STATES):
        first = 2 + i * (len(KINDS) + 1)  # after the cells that import and that launch
        for kind, seen in zip(KINDS, shown[first:], strict=False):
            yield Row(place, f"{kind}, {state}", _problem(kind, state, seen))


def _problem(kind: str, state: str, seen: dict[str, Any]) -> str:
    text = " ".join(_PROMPT.sub("", seen["text"]).split())
    if kind in _CHARTS:
        if seen["n_svgs"] + seen["n_images"] != 1:
            return f"{seen['n_svgs']} SVGs, {seen['n_images']} images: {text!r:.80}"
        # Where an image takes the place of the SVG, no words of the SVG may stay.
        return f"words: {text!r:.80}" if seen["n_images"] and text else ""
    if seen["n_cards"] != 1:
        return f"{seen['n_cards']} cards: {text!r:.80}"
    words = {"task": "Two bugs", "dashboard": state}.get(kind, f"{state} ")
    return "" if words in text else f"no {words!r} in {text!r:.80}"


def _run(world: World, command: str, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", command, *map(str, arguments)],
        env=world.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _only_here(route: Any) -> None:
    """Lets nothing out: neither this machine nor the reader's may have to load anything."""
    is_here = route.request.url.startswith(("http://127.0.0.1", "file:", "data:", "blob:"))
    (route.continue_ if is_here else route.abort)()


def _await_kernel(page: Page, place: str) -> None:
    """Waits until the kernel answers: what a widget would need is there, or is missed."""
    if place.startswith("nbclassic"):
        page.wait_for_function("() => window.Jupyter?.notebook?.kernel?.info_reply?.banner")
    elif place.startswith("JupyterLab"):
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext !== undefined"
        )
        page.evaluate(
            """async () => {
                const context = window.jupyterapp.shell.currentWidget.sessionContext;
                await context.ready;
                await context.session?.kernel?.info;
            }"""
        )


def shut_down(world: World) -> None:
    """Ends the kernels of the server, and the sessions that still run."""
    for folder in world.server.work.rglob("session-*"):
        if folder.is_dir():
            session = cpr.Session(folder)
            session.cancel()
            session.wait(60)


def main(arguments: list[str]) -> int:
    """Opens every notebook in every place, and prints one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="the places whose names contain this")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the pages")
    chosen = parser.parse_args(arguments)
    if chosen.pictures:
        chosen.pictures.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []

    def note(row: Row) -> None:
        rows.append(row)
        print(f"{row.place:50} {row.kind:22} {row.problem or 'good'}", flush=True)

    with tempfile.TemporaryDirectory(prefix="cpr-reopening-") as name:
        folder = Path(name).resolve()
        env = environment(folder)
        os.environ["HOME"] = env["HOME"]  # where this process looks for the sessions' key
        server, browser = Server(folder, env), Browser(folder / "profile")
        world = World(server, browser, stub_with_gate(folder / "stub"), env)
        try:
            for executor in EXECUTORS:
                path = execute(world, executor)
                kinds = stored_widgets(path)
                note(Row(executor, "file", f"it has {kinds}" if kinds else ""))
                for opened in (path, without_state(path)):
                    for place in (place for place in PLACES if chosen.only in place):
                        for row in open_again(world, opened, place, chosen.pictures):
                            note(row)
        finally:
            browser.close()
            shut_down(world)
            server.close()
    n_wrong = sum(1 for row in rows if row.problem)
    print(f"{len(rows)} rows, {n_wrong} wrong")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
