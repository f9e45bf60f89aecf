"""Static cards: small, readable, and nothing that an agent wrote is markup."""

from __future__ import annotations

import json
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cpr_nb.display import cards
from cpr_nb.display.session_model import SessionModel

HOSTILE = st.sampled_from(
    ["<script>x</script>", "<img src=x onerror=x>", "$a$ \\(b\\)", '"><b>', "\x1b[31m", "\u202e"]
) | st.text(max_size=200)
MARKED = st.sampled_from(
    ["## ", "- ", "1. ", "```\n", "> ", "| a |\n|---|\n", "**", "&#x202e; ", "[x]("]
)
ANSWER = st.lists(MARKED | HOSTILE, max_size=8).map("".join)
TAGS = {"style", "div", "b", "code", "i", "span", "details", "summary", "p", "pre"}
ANSWER_TAGS = {"ul", "ol", "li", "blockquote", "table", "tr", "th", "td", "em", "s", "br", "hr"}


class Seen(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def session(folder: str, tasks: list[dict[str, Any]], **head: Any) -> SessionModel:
    """A session as its folder would tell it."""
    root = Path(folder, "session-3f2a9c1e-0000-4000-8000-000000000000")
    root.mkdir()
    counts = {
        f"n_{word}": sum(task.get("outcome") == word for task in tasks)
        for word in ("succeeded", "failed", "cancelled")
    }
    status = {"schema_version": 1, "overall_status": "completed", "total": len(tasks), **counts}
    named = [{"task_num": n, "transaction_id": f"t{n}", **t} for n, t in enumerate(tasks, 1)]
    for task in named:
        if "answer" in task:
            answer = task.pop("answer").encode("utf-8", "replace")
            (root / f"task-{task['transaction_id']}.txt").write_bytes(answer)
    (root / "status.json").write_text(json.dumps({**status, **head, "tasks": named}))
    model = SessionModel(str(root))
    model.refresh()
    return model


def ended(outcome: str, **fields: Any) -> dict[str, Any]:
    return {"state": "ended", "status": "completed", "outcome": outcome, **fields}


TASKS = st.lists(
    st.builds(
        lambda outcome, prompt, error, answer: ended(
            outcome, prompt=prompt, reason="x", error=error, answer=answer
        ),
        st.sampled_from(["succeeded", "failed"]),
        HOSTILE,
        HOSTILE,
        ANSWER,
    ),
    max_size=30,
)


@settings(max_examples=60)  # files
@given(TASKS, HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=5))
def test_a_card_is_small_and_has_only_our_own_markup(
    tasks: list[dict[str, Any]], name: str, error: str, warnings: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = session(folder, tasks, name=name, error=error, warnings=warnings)
        html = cards.session_card(model)
    assert len(html.encode()) <= cards.MAX_BYTES
    seen = Seen(html)
    assert seen.tags <= TAGS | ANSWER_TAGS
    assert seen.attributes <= {"class", "style", "role", "aria-label", "hidden", "start"}
    text = html.partition("</style>")[2]
    assert "\x1b" not in text and "\u202e" not in text
    # No formula: what opens one stands alone in an element of its own.
    assert text.count("$") == text.count("<span>$</span>")
    assert text.count("\\") == text.count("<span>\\</span>")


def test_the_worst_card_is_still_small_and_says_what_counts(tmp_path: Path) -> None:
    worst = [ended("failed", prompt="漢'" * 400, error="$<&" * 400) for _ in range(40)]
    warnings = ["$'" * 400] * 9
    html = cards.session_card(session(str(tmp_path), worst, name="<>" * 400, warnings=warnings))
    assert len(html.encode()) <= cards.MAX_BYTES
    assert "40 failed" in Seen(html).text and "cpr results 3f2a9c1e" in Seen(html).text
    assert re.search(r"\d more warnings: s.warnings", Seen(html).text)


def test_a_card_shows_the_first_warnings_beside_the_notice(tmp_path: Path) -> None:
    warnings = [f"warning {n}" for n in range(1, 6)]
    card = cards.session_card(session(str(tmp_path), [], n_denials=1, warnings=warnings))
    shown = ["1 tool call denied", "warning 1", "warning 2", "warning 3", "2 more warnings"]
    assert [text for text in shown if text in Seen(card).text] == shown
    assert card.count('<div class="note">') == 5 and "warning 4" not in card


def test_a_card_shows_failures_first_and_what_is_left_out(tmp_path: Path) -> None:
    tasks = [ended("succeeded", prompt=f"good {n}") for n in range(790)]
    tasks += [ended("failed", prompt=f"bad {n}", reason="check_failed") for n in range(12)]
    text = Seen(cards.session_card(session(str(tmp_path), tasks, cost_usd=1.118))).text
    assert [text.count(f"bad {n}") for n in (0, 9, 10)] == [1, 1, 0]
    assert text.count("good ") == 8 and "784 more · all outputs: " in text
    assert "USD 1.12 estimate" in text and "check_failed" in text
    assert 'cpr.attach("3f2a9c1e")' in text


def test_denials_are_reported_with_the_rule_that_allows_them(tmp_path: Path) -> None:
    denials = [{"tool_name": "Bash", "tool_input": {"command": "pytest -q"}}] * 3
    line = {"type": "result", "is_error": False, "permission_denials": denials}
    task = ended("succeeded", n_denials=3, attempts=1)
    model = session(str(tmp_path), [task], n_denials=3)
    (Path(model.snapshot.paths.root) / "task-t1.jsonl").write_text(json.dumps(line) + "\n")
    text = Seen(cards.session_card(model)).text
    assert "3 tool calls denied in 1 task. To allow them:" in text
    assert "s.retry(all_tasks=True, allow=['Bash(pytest:*)'])" in text
    assert "⚠ 3 denied" in text


def test_a_stranger_and_nothing_at_all_have_a_card_too(tmp_path: Path) -> None:
    model = SessionModel(str(tmp_path / "session-none"))
    model.refresh()
    assert "? unreadable" in Seen(cards.session_card(model)).text


ANSWER_TEXT = """\
## Two bugs, *one* severe
The handler trusts a header.

1. **High.** `login.py:48`
"""


def test_a_row_opens_the_answer_its_figures_and_the_raw_text(tmp_path: Path) -> None:
    figures = {"cost_usd": 0.181, "input_tokens": 64_000, "attempts": 1, "n_files_changed": 2}
    task = ended("succeeded", answer=ANSWER_TEXT, lines_added=18, lines_deleted=4, **figures)
    model = session(str(tmp_path), [task, ended("succeeded", answer="Plain.")])
    html = cards.session_card(model)
    assert "<p><b>Two bugs, <em>one</em> severe</b></p>" in html
    assert "<ol><li><b>High.</b> <code>login.py:48</code></li></ol>" in html
    text = Seen(html).text
    assert "Two bugs, one severe · " in text.replace("\n", ""), "what the closed row shows"
    facts = [
        "USD 0.18 estimate",
        "64k tokens",
        "1 attempt",
        "nothing denied",
        "diff +18 −4 in 2 files",
    ]
    assert " · ".join(facts) in text
    assert f"Raw text, {len(ANSWER_TEXT)} bytes" in text and ANSWER_TEXT in text
    assert text.count("Raw text") == 1, "plain text is the raw text"


def test_a_long_answer_is_cut_at_the_end_of_a_line_and_says_so(tmp_path: Path) -> None:
    line = "word " * 20 + "\n"
    model = session(str(tmp_path), [ended("succeeded", answer=line * 500)] * 18)
    html = cards.session_card(model)
    assert 20_000 < len(html.encode()) <= cards.MAX_BYTES
    text = Seen(html).text
    n_lines = html[: html.index("<details>", html.index("<details>") + 9)].count("<br>") + 1
    left = f"{(50_500 - n_lines * 101 + 1) / 1000:.1f}"
    assert n_lines == 19
    assert f"… {left} kB more: cpr results 3f2a9c1e --task 1" in text
    assert f"… {left} kB more: cpr results 3f2a9c1e --task 8" in text


def test_a_failed_row_opens_what_went_wrong(tmp_path: Path) -> None:
    tasks = [ended("succeeded"), ended("failed", reason="check_failed", error="exit 1")]
    model = session(str(tmp_path), tasks)
    Path(model.snapshot.paths.check("t2")).write_text("FAILED tests/test_oauth.py\n")
    html = cards.session_card(model)
    first = html.index("<details>"), html.index("</details>")
    assert "failed: check_failed: exit 1" in html[slice(*first)], "failures come first"
    assert "FAILED tests/test_oauth.py</pre>" in html[slice(*first)]


def test_a_card_never_leads_to_itself(tmp_path: Path) -> None:
    model = session(str(tmp_path), [ended("succeeded")])
    opens, static = (Seen(cards.session_card(model, opens=opens)).text for opens in (True, False))
    assert 'all outputs: cpr.attach("3f2a9c1e") here, or cpr results 3f2a9c1e in a' in opens
    assert "all outputs: cpr results 3f2a9c1e in a terminal" in static
    assert "attach" not in static and "s.show()" not in opens + static


def test_without_its_style_a_card_can_still_be_read(tmp_path: Path) -> None:
    """JupyterLab removes the style of a notebook that is not trusted, but no element."""
    task = ended("succeeded", prompt="Review it", cost_usd=0.18, answer="No bugs")
    html = cards.session_card(session(str(tmp_path), [task]))
    row = Seen(html[html.index("<summary>") : html.index("</summary>")]).text
    assert "".join(row.split("\n")) == "1 ✓ succeeded · Review it · No bugs ·  · USD 0.18"
    assert '<div class="cols" hidden="hidden">' in html


def test_small_costs_keep_their_digits(tmp_path: Path) -> None:
    tasks = [ended("succeeded", cost_usd=0.0012), ended("succeeded", cost_usd=0.912)]
    html = cards.session_card(session(str(tmp_path), tasks))
    assert "</span>0.0012</span>" in html and "</span>0.91</span>" in html
