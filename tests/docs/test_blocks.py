"""The code of the README and of docs/*.md runs as a newcomer pastes it: in order, unchanged.

Each Python block is a cell of its page's kernel, each bash block a script in a fresh folder. The
real CLI runs, and the scripted API answers.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testkit.command import LIMIT_S
from testkit.kernel import Cell, Kernel
from testkit.pages import CODE, PAGES, ROOT, Block, code_blocks, read_blocks
from testkit.repository import Checkout

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

PYTEST = {"tool": "Bash", "input": {"command": "pytest -q", "description": "Run the tests"}}
WRITE = {"tool": "Write", "input": {"file_path": "{cwd}/app.py", "content": "print('app')\n"}}
#: One row of the frame fails, the other has bugs and was denied a tool.
RULES = [
    {"match": "^Grade the work", "steps": [{"so": {"reason": "It is clear.", "score": 1}}]},
    {"match": "Review cart.py for", "steps": [{"fail": {"status": 400, "message": "refused"}}]},
    {
        "match": "Review .* for",
        "steps": [PYTEST, {"so": {"severity": "high", "bugs": 2}}, {"text": "Two bugs."}],
    },
    {
        "match": "Review auth/",
        "steps": [
            {"so": {"severity": "high", "bugs": 2, "since": "2026-05-01"}},
            {"text": "Two bugs."},
        ],
    },
    {"match": "^Fix the 2 high bugs", "steps": [{"so": {"fixed": 2}}]},
    {"match": "Create a web app", "steps": [WRITE, {"text": "Done."}]},
    {"match": "Is it good or bad", "steps": [{"so": {"label": "good"}}]},
    {"match": "Which language", "steps": [{"so": {"language": "French"}}]},
]
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
#: The files that the pages name, in the folder where their code runs.
FILES = {
    **dict.fromkeys(("shop.py", "cart.py"), "def total(prices):\n    return sum(prices)\n"),
    "utils.py": "",
    "prompts.json": json.dumps({"prompts": ["Create a web app", "Write tests"]}),
    "label.json": json.dumps(SCHEMA),
    "rows.csv": "prompt\nIs it good or bad? Fine.\n",
    "../handbook/README.md": "How we work.\n",
}
#: How many blocks may say that they can't run.
MOST_NOT_RUN = 6


def runnable(page: Path, language: str, heading: str | None = None) -> list[Block]:
    return [
        block
        for block in code_blocks(page)
        if block.language == language and not block.reason and heading in (None, block.heading)
    ]


#: The pages with Python, but the README: its cells must also show what it says.
PYTHON_PAGES = [page for page in PAGES if page.stem != "README" and runnable(page, "python")]
COMMANDS = [
    pytest.param(block, id=f"{page.stem}-{block.line}")
    for page in PAGES
    for block in runnable(page, "bash")
]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi({"rules": RULES}) as server:
        yield server


@pytest.fixture
def shop(work: Path, offline_env: dict[str, str]) -> Iterator[Path]:
    """A repository with the files that the pages name; nothing runs there any more afterwards."""
    work.rmdir()
    checkout = Checkout.new(work)
    for name, text in {**FILES, ".gitignore": "results/\n"}.items():
        path = work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    checkout.git("add", "-A")
    checkout.git("commit", "-qm", "begin")
    yield work
    for folder in (work / "results").glob("session-*"):
        cpr.Session(folder).wait(LIMIT_S)  # those that no block waits for


@pytest.fixture
def run(shop: Path, offline_env: dict[str, str]) -> Iterator[Callable[[Block], Cell]]:
    """Runs a block in a fresh kernel, where an error fails the test and says which block."""
    with Kernel(shop, {**offline_env, "TICKETS_TOKEN": "t"}) as kernel:

        def run(block: Block) -> Cell:
            cell = kernel(block.code)
            assert (cell.status, cell.tracebacks()) == ("ok", []), (block, cell.reply)
            assert "UsageError" not in cell.text("stderr"), (block, cell.text("stderr"))
            return cell

        yield run


def test_blocks_are_read_with_what_stands_above_them() -> None:
    costly = "## A\n<!-- not run: it costs -->\n```bash\ncpr x\n```\n"
    assert read_blocks(costly + "## B\n```python\n## no heading\n```\n") == [
        Block("A", 4, "bash", "cpr x\n", "it costs"),
        Block("B", 8, "python", "## no heading\n", None),
    ]


def test_few_blocks_are_not_run_and_every_fence_says_what_it_holds() -> None:
    blocks = [(page, block) for page in PAGES for block in read_blocks(page.read_text("utf-8"))]
    assert len([block for _, block in blocks if block.language in CODE]) > 30
    assert len([block for _, block in blocks if block.reason]) <= MOST_NOT_RUN
    hidden = [
        (page.name, block.line)
        for page, block in blocks
        if block.language not in CODE and block.code.startswith(("%", "import ", "cpr "))
    ]
    assert hidden == [], "code that no test runs"


@pytest.mark.real_cli
@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs_as_pasted(page: Path, run: Callable[[Block], Cell]) -> None:
    for block in runnable(page, "python"):
        run(block)


@pytest.mark.real_cli
@pytest.mark.slow
@pytest.mark.parametrize("block", COMMANDS)
def test_commands_run_as_pasted(block: Block, shop: Path, offline_env: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        cwd=shop,
        env=offline_env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)


# -- what the README promises of its cells ----------------------------------------------------


def html(cells: list[Cell], mark: str) -> list[str]:
    """The HTML of what cells show, where it holds a mark."""
    bundles = [data for cell in cells for data in cell.results()]
    return [data["text/html"] for data in bundles if mark in data.get("text/html", "")]


@pytest.mark.real_cli
@pytest.mark.slow
def test_the_python_of_the_readme_shows_what_it_says(run: Callable[[Block], Cell]) -> None:
    def section(heading: str) -> list[Cell]:
        cells = [run(block) for block in runnable(ROOT / "README.md", "python", heading)]
        assert cells, heading
        return cells

    quick = section("Quick start")[0].text()
    assert "1 succeeded" in quick and "2 succeeded" in quick
    assert "Hello from the scripted API." in quick

    notebook = section("In a notebook")
    assert len(html(notebook, "review")) >= 2, "the session, and the DataFrame of cpr list"
    assert len(html(notebook, "<svg")) == 2
    assert all(len(cell.results()) <= 2 for cell in notebook), "one thing a cell"

    mapped = html(section("A DataFrame in, typed columns out"), "<table")
    assert "severity" in mapped[0] and "high" in mapped[0]

    (compared,) = html(section("Decisions one can defend"), "the baseline")
    assert "opus" in compared and "Paired by row" in compared

    tables = section("Tables")
    outcomes, denied, calls = html(tables, "<table")
    assert "succeeded" in outcomes and "sum" in outcomes
    assert "Bash(pytest:*)" in denied
    assert "pytest -q" in calls or "Bash" in calls
    (usage,) = html(tables, "<svg")
    assert "USD" in usage

    (nodes,) = html(section("Many machines"), "<table")
    assert "live" in nodes, "the workers of the cluster"
