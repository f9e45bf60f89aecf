"""What a light task sends with the real CLI, and what it leaves out, by the API's own requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.recording import RecordingApi

from cpr_nb.model.light import LIGHT_PROMPT

pytestmark = pytest.mark.real_cli
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
#: Words that reach the model, unless something leaves them out: where they stand → the word.
WORDS = {
    "CLAUDE.md": "quokka",
    "CLAUDE.local.md": "numbat",
    ".claude/rules/rule.md": "bilby",
    "private.txt": "potoroo",
}


@pytest.fixture
def api() -> Iterator[RecordingApi]:
    with RecordingApi() as server:
        yield server


def _customise(work: Path, user: Path) -> list[str]:
    """Puts words and hooks into the project and the user's own files; returns the words."""
    for name, word in WORDS.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(f"The word is {word}.\n")
    user.mkdir(parents=True)
    (user / "CLAUDE.md").write_text("The word is wombat.\n")
    hooks = {
        place: {"hooks": {"UserPromptSubmit": [{"hooks": [_hook(place)]}]}}
        for place in ("project", "user")
    }
    (work / ".claude" / "settings.json").write_text(json.dumps(hooks["project"]))
    own = {**hooks["user"], "outputStyle": "Explanatory", "language": "pirate"}
    (user / "settings.json").write_text(json.dumps(own))
    return [*WORDS.values(), "wombat", "hook of", "Explanatory", "pirate"]


def _hook(place: str) -> dict[str, str]:
    return {"type": "command", "command": f"echo hook of the {place}; touch ran-$CPR_TASK_ID"}


def test_a_light_task_sends_its_prompt_and_little_else(real_cpr: Cpr, api: RecordingApi) -> None:
    words = _customise(real_cpr.cwd, Path(real_cpr.env["CLAUDE_CONFIG_DIR"]))
    real_cpr.good("trust", "--yes")
    say = "Label this, as @private.txt does."
    task = {"prompt": script({"so": {"label": "a"}}, say=say), "schema": SCHEMA}
    elements = [
        {**task, "id": "full"},
        {**task, "id": "light", "light": True},
        {**task, "id": "own", "light": True, "system_prompt": "You label numbats."},
    ]
    dry = json.loads(real_cpr.good("run", "--dry-run", "--json", stdin=prompts(*elements)))
    session = real_cpr.launch(prompts(*elements), "-j1").wait(LIMIT_S)
    assert [task.result() for task in session] == [{"label": "a"}] * 3
    full, light, own = (json.dumps(body) for body in api.bodies)
    assert [word for word in words if word not in full] == []
    assert [word for word in words if word in light] == []
    assert LIGHT_PROMPT in light and LIGHT_PROMPT not in full + own and "numbats" in own
    assert {path.name for path in real_cpr.cwd.glob("ran-*")} == {"ran-full"}
    offered = [set(request.tools) for request in api.requests]
    assert "Read" in offered[0] and offered[1:] == [{"StructuredOutput"}] * 2
    assert "# Environment" not in light and "date is" not in light, "it has a key of the API"
    paid = [r.cache_read_tokens + r.cache_write_tokens for r in api.requests]
    prompt_tokens = len(json.dumps(task["prompt"])) // 4
    assert paid[1] - prompt_tokens <= 200 and paid[1] < 0.08 * paid[0]
    assert abs(dry[1]["prefix_tokens"] / (paid[1] - prompt_tokens) - 1) < 0.25
    assert list(session.tasks_df(full=True)["light"]) == [False, True, True]
    assert list(session.results_df()["light"]) == [False, True, True]


def test_with_a_login_it_sends_little_more(real_cpr: Cpr, api: RecordingApi) -> None:
    words = _customise(real_cpr.cwd, Path(real_cpr.env["CLAUDE_CONFIG_DIR"]))
    del real_cpr.env["ANTHROPIC_API_KEY"]
    real_cpr.env["CLAUDE_CODE_OAUTH_TOKEN"] = "dummy"
    prompt = script({"so": {"label": "a"}}, say="Label this, as @private.txt does.")
    session = real_cpr.launch(prompts({"prompt": prompt, "schema": SCHEMA}), "--light")
    assert session.wait(LIMIT_S)[0].result() == {"label": "a"}
    (body,) = api.bodies
    assert [word for word in words if word in json.dumps(body)] == []
    (request,) = api.requests
    paid = request.cache_read_tokens + request.cache_write_tokens
    assert paid - len(json.dumps(prompt)) // 4 <= 600


def test_rows_begin_alike(real_cpr: Cpr, api: RecordingApi) -> None:
    rows = [script({"so": {"label": "a"}}, say=f"Label row {number}.") for number in range(2)]
    options = ("--light", "--schema", json.dumps(SCHEMA), "-j1")
    real_cpr.launch(prompts(*rows), *options).wait(LIMIT_S)
    # The first block is the CLI's billing line, which depends on the prompt.
    beginnings = [json.dumps([body["tools"], body["system"][1:]]) for body in api.bodies]
    assert len(beginnings) == 2 and len(set(beginnings)) == 1


def test_a_light_task_goes_on_as_a_light_one(real_cpr: Cpr, api: RecordingApi) -> None:
    steps = ({"text": "no structure"}, {"text": "none again"}, {"so": {"label": "a"}})
    task = {"prompt": script(*steps), "schema": SCHEMA, "attempts": 3}
    session = real_cpr.launch(prompts(task), "--light").wait(LIMIT_S)
    assert session[0].result() == {"label": "a"}
    assert {request.tools for request in api.requests} == {("StructuredOutput",)}
    systems = {json.dumps(body["system"][1:]) for body in api.bodies}
    assert len(systems) == 1 and LIGHT_PROMPT in systems.pop()
