"""What a pull request says has room on GitHub, whatever the texts are."""

from __future__ import annotations

import pytest

from cpr_nb.views.pull_request_text import PromptCost, pull_request_text

#: GitHub refuses a longer one.
MOST_CHARS = 65_536


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["word " * 20_000] * 6, "word " * 20_000),
        (["`" * 90_000, "`" * 90_000], "`" * 90_000),
        (["Do it."] + ["More of it."] * 5_000, "Done."),
    ],
    ids=["long follow-ups", "fences", "many follow-ups"],
)
def test_it_has_room(texts: list[str], answer: str) -> None:
    prompts = [PromptCost(text, 0.1) for text in texts]
    title, body = pull_request_text(prompts, answer, "pytest -q", {}, "task 1")
    assert len(title) <= 72 and len(body) < MOST_CHARS
    for words in ("### Prompt", "### Follow-up", "### Answer", "### Checks", "### Figures"):
        assert words in body


def test_a_short_one_is_whole() -> None:
    text = "word " * 3_000
    _, body = pull_request_text([PromptCost(text, 0.1)], text, None, {}, "task 1")
    assert body.count("word") == 6_000 and "more characters" not in body
