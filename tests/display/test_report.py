"""The report of a session: one small page, in which nothing that anybody wrote is markup."""

from __future__ import annotations

import json
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from testkit.hostile_text import ALL, TEXTS, forbidden, write_results
from testkit.ran import SESSION, Ran
from testkit.session_folders import write_session

from cpr_nb.display.report import end_phrases, lede
from cpr_nb.display.report.page import Report, session_report
from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.store.read import read_session

MARKUP = st.sampled_from(
    ["<script>x</script>", "<img src=x onerror=x>", '"><b onload=x>', "{{ 7 * 7 }}", "</style>"]
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "div", "header", "main", "footer"),
    *("section", "h1", "h2", "h3", "p", "span", "i", "b", "small", "code", "pre", "dl", "dt", "dd"),
    *("details", "summary", "table", "thead", "tbody", "tr", "th", "td"),
    *("em", "ul", "ol", "li", "blockquote", "s", "br", "hr"),  # of answers
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "style", "id", "role"),
    *("aria-label", "aria-labelledby", "aria-hidden", "scope", "data-h", "start"),
}


class Seen(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.styles: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles |= {value or "" for name, value in attrs if name == "style"}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts).partition("Session report")[2])


def report_of(ran: Ran, *, redact: bool = False, state: str = "completed", **head: Any) -> Report:
    counted = {"n_denials": sum(task.get("n_denials", 0) for task in ran.tasks)}
    return session_report(ran.write(state, **counted, **head), {}, redact=redact)


def text_of(report: Report) -> str:
    return Seen(report.html).text


# --- Nothing that anybody wrote is markup -------------------------------------------------------


@settings(max_examples=15)  # files
@given(TEXTS | MARKUP, st.booleans())
@example(ALL, False)
def test_a_page_has_only_our_own_markup_and_nothing_hides_in_it(text: str, redact: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results")
        for name in write_results(results, text):
            html = session_report(read_session(f"{results}/session-{name}"), redact=redact).html
            seen = Seen(html)
            assert seen.tags <= TAGS and seen.attributes <= ATTRIBUTES
            assert all(re.fullmatch(r"((left|right|width):[\d.]+%;?)+", s) for s in seen.styles)
            assert forbidden(html) == set()
            assert "49" not in seen.text.split()


def test_a_page_loads_and_runs_nothing(tmp_path: Path) -> None:
    html = report_of(Ran(tmp_path, 1)).html
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None and policy[1] == "default-src 'none'; style-src 'unsafe-inline'"
    assert not re.search(r"url\(|@import|src=|href=|<script|javascript:", html)


# --- What it says -------------------------------------------------------------------------------


def story(folder: Path) -> Ran:
    """Three tasks: a success, a failure, one that was cut off by a limit."""
    ran = Ran(folder, 3)
    ran.task(0, (0.0, 100.0, "succeeded", 0.5), lines_added=3, lines_deleted=1, n_files_changed=2)
    ran.task(1, (0.0, 20.0, "failed", 0.25), reason="check_failed", error="the check failed")
    ran.task(2, (20.0, 60.0, "timed_out", None), reason="silence")
    (ran.path / "task-t1.txt").write_text("All good.\n")
    (ran.path / "task-t2.check.log").write_text("line\n" * 50 + "2 failed, 31 passed\n")
    return ran


def test_the_first_lines_are_made_from_counts(tmp_path: Path) -> None:
    text = text_of(report_of(story(tmp_path), name="review-auth"))
    assert (
        "1 of 3 tasks succeeded in 2 minutes, at an estimated USD 0.75. "
        "One task failed the check and one went silent." in text
    )
    for figure in ("1 of 3", "USD 0.75", "estimated, 0.75 per success", "1:40", "+3 −1"):
        assert figure in text
    assert "lines changed in 2 files" in text


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        (["succeeded"], "The task succeeded in 10 seconds"),
        (["succeeded", "succeeded"], "All 2 tasks succeeded in 20 seconds"),
        (["failed"], "The task did not succeed in 10 seconds"),
        (["failed", "failed"], "None of 2 tasks succeeded in 20 seconds"),
        (["cancelled", "cancelled", "succeeded"], "2 tasks were cancelled."),
    ],
)
def test_the_sentence_fits_the_counts(tmp_path: Path, outcomes: list[str], sentence: str) -> None:
    ran = Ran(tmp_path, len(outcomes))
    for index, outcome in enumerate(outcomes):
        ran.task(index, (10.0 * index, 10.0 * index + 10, outcome, 0.1), reason="unknown")
    assert sentence in text_of(report_of(ran))


def test_a_session_that_has_not_ended_says_so(tmp_path: Path) -> None:
    ran = Ran(tmp_path, 2)
    ran.task(0, (0.0, 5.0, "succeeded", 0.1))
    ran.task(1, (0.0, 5.0, None, None))
    text = text_of(report_of(ran, state="running"))
    assert (
        "while the session runs" in text and "◐ running" in text and "hollow bars still run" in text
    )
    assert "1 of 2 tasks has ended, with success, in 5 seconds" in text
    (ran.path / "runner.lock").touch()  # nobody holds it
    text = text_of(report_of(ran, state="running"))
    assert "The session was interrupted" in text and "✕ interrupted" in text


@pytest.mark.parametrize("redact", [False, True])
def test_what_an_agent_asks_is_counted_and_shown(tmp_path: Path, redact: bool) -> None:
    ran = Ran(tmp_path, 2)
    ran.task(0, (0.0, 5.0, "succeeded", 0.1))
    question = {"tool": "Bash", "wants": "wants to run a command", "target": "pytest -q"}
    ran.task(1, (0.0, 5.0, None, None), questions=[question])
    text = text_of(report_of(ran, state="running", redact=redact))
    assert "One question waits for an answer." in text and "cpr answer 11111111" in text
    assert "◆ asking" in text and ("wants to run a command: pytest -q" in text) is not redact
    (ran.path / "runner.lock").touch()  # nobody holds it, so nobody would hear the answer
    assert "asking" not in text_of(report_of(ran, state="running", redact=redact))


def test_every_reason_has_a_phrase() -> None:
    plain = {"completed", "cancelled", "unknown"}
    phrases = {reason: end_phrases.phrase_of("failed", reason) for reason in states.REASONS}
    assert {reason for reason, phrase in phrases.items() if phrase == "failed"} == plain


def test_failures_come_first_with_their_reason_and_the_end_of_their_log(tmp_path: Path) -> None:
    text = text_of(report_of(story(tmp_path)))
    assert text.index("✕ failed · Task 2") < text.index("Timeline") < text.index("✓ succeeded")
    assert "The check failed" in text and "2 failed, 31 passed" in text
    assert text.count("line ") < 15
    assert "It went silent." in text and "cpr retry 11111111" in text


def test_a_failure_says_how_another_session_ended_it(tmp_path: Path) -> None:
    ran = story(tmp_path)
    retry = write_session(tmp_path, {"a": [b""]}, parent_session_id=SESSION)
    parent = {"session_id": SESSION, "task_id": "t2"}
    spec = {"tasks": [{"id": "a", "prompt": "", "options": {}, "parent": parent}]}
    (retry / "session.json").write_text(json.dumps(spec))
    text = text_of(report_of(ran))
    assert "The check failed Run again in session 00000000: succeeded." in text
    assert text.count("Run again in session") == 1


def test_answers_and_changes_are_in_the_rows(tmp_path: Path) -> None:
    ran = story(tmp_path)
    (ran.path / "task-t1.patch").write_text("diff --git a/x b/x\n--- a/x\n+++ b/x\n-old\n+new\n")
    html = report_of(ran).html
    assert "All good." in html
    assert '<span class="removed">-old</span><span class="added">+new</span>' in html
    assert "diff --git" not in html


def test_the_words_that_all_prompts_share_are_left_out_of_labels(tmp_path: Path) -> None:
    ran = Ran(tmp_path, 2)
    for index, name in enumerate(("login.py", "oauth.py")):
        ran.task(index, (0.0, 1.0, "succeeded", 0.1))
        ran.tasks[index]["transaction_id"] = f"0000000{index}-0000-4000-8000-000000000000"
        ran.tasks[index]["prompt"] = f"Review {name} for bugs"
    assert '<span class="lab">login.py</span>' in report_of(ran).html


def test_what_was_denied_has_its_rule_an_example_and_its_tasks(tmp_path: Path) -> None:
    ran = story(tmp_path)
    for index in (0, 1):
        ran.tasks[index] |= {"attempts": 1, "n_denials": 1}
        denial = {"tool_name": "Bash", "tool_input": {"command": "pytest -q"}}
        line = {"type": "result", "is_error": False, "permission_denials": [denial]}
        (ran.path / f"task-t{index + 1}.jsonl").write_text(json.dumps(line) + "\n")
    text = text_of(report_of(ran))
    assert "Bash(pytest:*)" in text and "pytest -q" in text and "#1, #2" in text
    assert "2 tool calls were denied" in text and "⚠ 1 denied" in text


def test_rows_that_other_sessions_have_run_are_shown_but_not_counted(tmp_path: Path) -> None:
    source = write_session(tmp_path, {"a": [b""]})
    (source / "task-a.txt").write_text("From before.")
    ran, source_id = story(tmp_path), source.name.removeprefix("session-")
    reused = [{"position": 3, "session_id": source_id, "task_id": "a"}]
    (ran.path / "session.json").write_text(json.dumps({"tasks": [], "reused": reused}))
    report = report_of(ran, n_reused=1)
    text = text_of(report)
    assert "1 of 3 tasks succeeded" in text and "USD 0.75 in all" in text
    assert "One further row has its answer from earlier sessions." in text
    assert "From before." in text and "reused from 00000000" in text
    assert report.html.count('<details class="task">') == 4


def test_options_are_shown_without_what_may_be_secret(tmp_path: Path) -> None:
    ran = story(tmp_path)
    options = {
        "permissions": "edits",
        "silence_s": 75.0,
        "allow": ["Bash(pytest:*)"],
        "env": ["TOKEN"],
        "mcp_servers": {"db": {"env": {"KEY": "hunter2"}}},
        "claude_args": ["--key", "hunter2"],
        "settings": {"apiKeyHelper": "echo hunter2"},
        "schema": {"properties": {"bugs": {"type": "integer"}}},
    }
    spec = {"options": options, "tasks": []}
    (ran.path / "session.json").write_text(json.dumps(spec))
    text = text_of(report_of(ran))
    assert "hunter2" not in text
    for value in ("75 s", "Bash(pytest:*)", "TOKEN", "db", "2 arguments", "bugs: integer"):
        assert value in text


def test_many_tasks_share_rows_of_the_timeline(tmp_path: Path) -> None:
    ran = Ran(tmp_path, 200)
    for index in range(200):
        ran.task(index, (index // 4, index // 4 + 1.0, "succeeded", 0.01))
    html = report_of(ran).html
    timeline = html[html.index('id="t"') : html.index('id="c"')]
    assert "Up to 4 tasks ran at once." in timeline and timeline.count('class="track"') == 4
    assert "The most expensive 25; the other 175 cost USD 1.75 together." in html


# --- How large it is ----------------------------------------------------------------------------


def size_of(folder: Path, n_tasks: int, text: str) -> int:
    """The bytes of a page whose tasks have written nothing but this, again and again."""
    ran, long = Ran(folder, n_tasks), text * 20_000
    for index in range(n_tasks):
        end = "failed" if index % 2 else "succeeded"
        ran.task(index, (index, index + 9.0, end, 0.1), reason="check_failed", error=text * 99)
        ran.tasks[index]["prompt"] = text * 999
        for ending in ("txt", "patch", "check.log"):
            (ran.path / f"task-t{index + 1}.{ending}").write_text(long)
    report = report_of(ran, warnings=[text * 999] * 40)
    assert "to keep this page small" in report.html
    return len(report.html.encode())


WORST = "\U000e0041<&'\u202e漢* **a** `b`\n"


@pytest.mark.parametrize("text", [WORST, "+\n-\n", "- a\n", "$\n\n", "| a |\n|---|\n", "> "])
def test_the_texts_of_a_task_have_a_limit_with_all_their_markup(tmp_path: Path, text: str) -> None:
    assert size_of(tmp_path, 1, text) <= 24_000 * 1.25 + 30_000  # texts, and the rest of the page


def test_a_hundred_tasks_fit_into_a_megabyte_whatever_they_wrote(tmp_path: Path) -> None:
    assert size_of(tmp_path, 100, WORST) <= 1_000_000


# --- Redacted -----------------------------------------------------------------------------------


def test_a_redacted_page_has_nothing_that_the_user_or_an_agent_wrote(tmp_path: Path) -> None:
    ran, secret = story(tmp_path), "Grashalm"
    for index, task in enumerate(ran.tasks):
        task |= {"prompt": f"{secret} {index}", "error": secret, "note": secret, "branch": secret}
        task |= {"transaction_id": f"{secret}{index}", "attempts": 1, "n_denials": 1}
        denial = {"tool_name": "Bash", "tool_input": {"command": secret}}
        result = {"permission_denials": [denial], "structured_output": {secret: secret}}
        line = json.dumps({"type": "result", "result": secret, **result})
        for ending in ("txt", "patch", "err", "check.log", "jsonl"):
            (ran.path / f"task-{secret}{index}.{ending}").write_text(line)
    names = ("check", "setup", "base", "system_prompt", "cwd", "allow", "deny", "tools", "agents")
    options = dict.fromkeys(names, secret) | {"schema": {"properties": {secret: {}}}}
    checkout = {"current_branch": secret}
    tasks = [{"id": "a", "prompt": secret, "options": options, "checkout": checkout}] * 3
    (ran.path / "session.json").write_text(json.dumps({"options": options, "tasks": tasks}))
    head = {"name": "review", "cwd": f"/{secret}", "warnings": [secret], "notice": secret}
    report = report_of(ran, redact=True, **head)
    text = Seen(report.html.replace(str(tmp_path), "")).text
    assert secret not in text
    assert "1 of 3 tasks succeeded" in text and "Prompts, answers and changes are left out" in text
    assert "check_failed" in text and "⚠ 1 denied" in text
    assert "Tool Tasks Times Bash #1, #2, #3 3" in text
    assert secret in report_of(ran, **head).html


# --- As a file, and in a notebook ---------------------------------------------------------------


def test_it_is_written_into_a_file_but_never_through_a_link(tmp_path: Path) -> None:
    report, victim, link = Report("<p>é</p>", "t"), tmp_path / "victim", tmp_path / "report.html"
    assert report.save(tmp_path / "a.html").read_text("utf-8") == "<p>é</p>"
    victim.write_text("mine")
    link.symlink_to(victim)
    with pytest.raises(InputError, match="it is a link"):
        report.save(link)
    assert victim.read_text() == "mine"
    with pytest.raises(InputError, match="No such file"):
        report.save(tmp_path / "none" / "a.html")


def test_a_notebook_shows_it_in_a_frame_in_which_nothing_runs() -> None:
    html = Report('<p class="x">"</p>', 'a "name" <b>')._repr_html_()
    frame = Seen(html)
    assert frame.tags == {"iframe", "div", "code"}
    assert "sandbox " in html and "<p" not in html and "<b>" not in html


@pytest.mark.parametrize(
    ("duration_s", "words"),
    [
        (1, "1 second"),
        (20.7, "20 seconds"),
        (89, "89 seconds"),
        (500, "8 minutes"),
        (3600, "1 hour"),
    ],
)
def test_durations_are_in_words(duration_s: float, words: str) -> None:
    assert lede.in_words(duration_s) == words
