"""`cpr report`: a session that the real CLI ran, as one page."""

from __future__ import annotations

from pathlib import Path

import pytest
from testkit.command import Cpr, prompts, script
from testkit.kernel import Kernel
from testkit.repository import Checkout
from testkit.stub import plan

EDIT = {"tool": "Write", "input": {"file_path": "{cwd}/new.py", "content": "print('new')\n"}}
DENIED = {"tool": "Bash", "input": {"command": "pytest -q"}}
REFUSED = {"fail": {"status": 400, "message": "refused on purpose"}}


@pytest.mark.real_cli
def test_a_session_of_the_real_cli_as_one_page(real_cpr: Cpr, work: Path) -> None:
    shop = Checkout.new(work / "shop")
    shop.commit("first", {"a.py": "1\n"})
    real_cpr.cwd = shop.path
    tasks = prompts(
        script(EDIT, DENIED, {"text": "## Done\n\n<b>One</b> file."}, say="Make a file"),
        script(REFUSED, say="Ask in vain"),
    )
    session = real_cpr.launch(tasks, "--worktree", "--name", "story").wait(120)
    said = real_cpr.good("report", "story")
    name = f"report-{session.id[:8]}.html"
    html = (shop.path / name).read_text("utf-8")
    assert said == f"Report: {name} ({len(html.encode()) // 1000} kB)\n"
    for text in (
        "<h1>story</h1>",
        "1 of 2 tasks succeeded",
        "One task got an error from the API and one tool call was denied.",
        "API Error: 400 refused on purpose",
        "&lt;b&gt;One&lt;/b&gt; file.",
        '<span class="added">+print(&#39;new&#39;)</span>',
        "<code>Bash(pytest:*)</code>",
        "a worktree for each task",
        "Claude CLI 2.",
    ):
        assert text in html
    assert len(html.encode()) < 60_000


def test_the_report_goes_where_it_is_sent(stub_cpr: Cpr, work: Path) -> None:
    session = stub_cpr.launch(prompts(plan(say="Hello"))).wait(120)
    stub_cpr.good("report", session.id, "-o", "out.html", "--redact")
    written = (work / "out.html").read_text("utf-8")
    assert "Prompts, answers and changes are left out" in written and "STUB=" not in written
    printed = stub_cpr.good("report", session.id, "-o", "-")
    assert printed.startswith("<!doctype html>") and "STUB=" in printed
    assert [path.name for path in work.glob("*.html")] == ["out.html"]


def test_a_report_that_can_t_be_written_says_why(stub_cpr: Cpr, work: Path) -> None:
    session = stub_cpr.launch(prompts(plan())).wait(120)
    (work / "mine").write_text("mine")
    (work / f"report-{session.id[:8]}.html").symlink_to(work / "mine")
    for args, reason in (
        ([], "it is a link, name the file itself"),
        (["-o", "none/out.html"], "No such file or directory"),
        (["-o", "."], "Is a directory"),
    ):
        done = stub_cpr("report", session.id, *args)
        assert done.returncode == 2 and f"{reason}\n" in done.stderr
    assert (work / "mine").read_text() == "mine"
    assert "not found" in stub_cpr("report", "none").stderr


def test_a_legacy_session_has_a_report_too(stub_cpr: Cpr, work: Path) -> None:
    folder = work / "results" / "session-11111111-2222-4333-8444-555555555555"
    folder.mkdir(parents=True)
    task = '{"task_num":1,"transaction_id":"docs","prompt":"Write docs","status":"completed"'
    (folder / "status.json").write_text(
        '{"overall_status":"completed","start_time":1700000000,"end_time":1700000060,"total":1,'
        f'"completed":1,"successful":1,"tasks":[{task},"success":1,"duration":50}}]}}'
    )
    (folder / "task-docs.txt").write_text("They are written.\n")
    html = stub_cpr.good("report", "11111111", "-o", "-")
    for text in ("The task succeeded in 60 seconds.", "They are written.", "14 November 2023"):
        assert text in html
    assert "USD 0" not in html and "cpr retry" not in html


def test_the_magic_returns_the_report(stub_cpr: Cpr, work: Path, stub_env: dict[str, str]) -> None:
    session = stub_cpr.launch(prompts(plan())).wait(120)
    with Kernel(work, stub_env) as kernel:
        kernel("%load_ext cpr_nb")
        cell = kernel(f"%cpr report {session.id}")
        assert "<iframe sandbox" in cell.results()[0]["text/html"]
        cell = kernel(f"%cpr report {session.id} -o out.html")
        assert cell.results() == [] and (work / "out.html").exists()
