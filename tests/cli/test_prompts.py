"""A prompt reaches the API byte for byte, whatever is in it."""

from __future__ import annotations

import json

import pytest
from testkit.command import LIMIT_S, Cpr
from testkit.stub import Stub

from cpr_nb.offline.scripted_api import ScriptedApi

PROMPTS = {
    "mebibyte": ("0123456789 äöü€😀\n" * 50_000)[: 2**20],
    "dash": "--help -x -- is no option, $HOME nor `date`",
    "unicode": "👩\u200d💻 مرحبا \u202eשלום\u202c e\u0301 \u2028 \ufeff \u200b ﬁ \x7f end",
    "control": "a\tb\x01c\x1b[31md\x85e",
    "crlf": "one\r\ntwo\rthree\r\n",
    "trailing": "text\n\n\n",
    "spaces": " \n\t middle \t ",
    "lines": "\n".join(f"line {number}" for number in range(10_000)),
    "quotes": "' \" \\ \\n \\u0041 {cwd} %s ; $(false)",
}


@pytest.mark.slow
@pytest.mark.real_cli
def test_prompts_reach_the_api_byte_for_byte(real_cpr: Cpr, api: ScriptedApi) -> None:
    elements = [{"id": name, "prompt": prompt} for name, prompt in PROMPTS.items()]
    file = real_cpr.cwd / "p.json"
    file.write_text(json.dumps({"prompts": elements}, ensure_ascii=False), "utf-8", newline="")
    launch = json.loads(real_cpr.good("p.json", "--json", "-j4", "--sync"))
    assert launch["state"] == "completed"
    rows = json.loads(real_cpr.good("status", "--json", launch["session_id"]))["tasks"]
    sent = {r.conversation_id: r.last_user_blocks[-1] for r in api.requests if r.step == 0}
    for row in rows:
        assert row["outcome"] == "succeeded"
        assert sent[row["conversation_id"]].encode() == PROMPTS[row["task_id"]].encode()
        assert row["prompt"] == PROMPTS[row["task_id"]]


def test_prompts_reach_the_cli_byte_for_byte_from_every_form(stub_cpr: Cpr, stub: Stub) -> None:
    kept = {name: prompt for name, prompt in PROMPTS.items() if name != "mebibyte"}
    lines = [json.dumps({"id": f"l-{name}", "prompt": text}) for name, text in kept.items()]
    (stub_cpr.cwd / "p.jsonl").write_text("\n".join(lines) + "\n")
    cells = [f'c-{name},"{text.replace(chr(34), chr(34) * 2)}"' for name, text in kept.items()]
    (stub_cpr.cwd / "p.csv").write_bytes("\r\n".join(["id,prompt", *cells]).encode())
    for name in ("p.jsonl", "p.csv"):
        stub_cpr.good("--sync", name)
    got = {name: call["stdin"] for name, call in stub.calls().items()}
    assert got == {f"{form}-{name}": text for form in "lc" for name, text in kept.items()}


def test_the_largest_prompt_reaches_the_cli(stub_cpr: Cpr, stub: Stub) -> None:
    prompt = "x" * (10 * 2**20)
    session = stub_cpr.launch(json.dumps([prompt]).join(['{"prompts": ', "}"])).wait(LIMIT_S)
    assert session[0].ok and session[0].prompt == prompt
    (call,) = stub.calls().values()
    assert call["stdin"] == prompt
    status = json.loads((session.path / "status.json").read_text())
    assert status["tasks"][0]["prompt"] == "x" * 50 + "..."
