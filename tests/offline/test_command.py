"""The environment of the real CLI, and the scripted API as a command."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.client import LIMIT_S, user

from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

REPOSITORY = Path(__file__).parents[2]


def test_environment_is_complete_and_takes_nothing_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    environment = cli_environment("http://127.0.0.1:1", tmp_path, path="/p", tmpdir=tmp_path / "t")
    assert environment == {
        "PATH": "/p",
        "HOME": str(tmp_path),
        "CLAUDE_CONFIG_DIR": str(tmp_path / ".claude"),
        "TMPDIR": str(tmp_path / "t"),
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
        "ANTHROPIC_API_KEY": "dummy",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }
    login = {"ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"}
    subscribed = cli_environment("http://127.0.0.1:1", tmp_path, subscription=True)
    assert {name: subscribed[name] for name in login & subscribed.keys()} == {
        "CLAUDE_CODE_OAUTH_TOKEN": "dummy"
    }
    assert "/bin" in cli_environment("http://[::1]:8080/", tmp_path)["PATH"].split(":")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.anthropic.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1:80@example.com",
        "http://example.com\\@127.0.0.1",
        "http://example.com#@127.0.0.1",
        "http://0.0.0.0:80",
        "http://localhost.example.com",
        " http://127.0.0.1",
        "http://127.0.0.1\n",
        "",
    ],
)
def test_environment_refuses_every_other_host(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a loopback URL"):
        cli_environment(url, tmp_path)


def start_command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cpr_nb.offline.scripted_api", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_serves_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    file, log = tmp_path / "script.json", tmp_path / "log.jsonl"
    file.write_text('{"default": [{"text": "from the file"}]}')
    with start_command("--script", str(file), "--log", str(log)) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = line.removeprefix("listening on http://127.0.0.1:")
            connection = http.client.HTTPConnection("127.0.0.1", int(url), timeout=LIMIT_S)
            connection.request("POST", "/v1/messages", json.dumps({"messages": [user("hi")]}))
            answer = json.loads(connection.getresponse().read())
            assert answer["content"][0]["text"] == "from the file"
            process.send_signal(number)  # while the client is still connected
            out, err = process.communicate(timeout=LIMIT_S)
            connection.close()
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    record, end = [json.loads(line) for line in log.read_text().splitlines()]
    assert (end["end_of"], end["delivered"]) == (1, True)
    assert (record["path"], record["last_user_blocks"]) == ("/v1/messages", ["hi"])


def test_command_keeps_a_quota() -> None:
    with start_command("--quota", "1e-9", "--burst", "2", "--retry-after", "3") as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            seen = []
            for _ in range(3):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
                connection.request("POST", "/v1/messages", json.dumps({"messages": [user("hi")]}))
                response = connection.getresponse()
                response.read()
                connection.close()
                seen.append((response.status, response.getheader("retry-after")))
        finally:
            process.terminate()
    assert seen == [(200, None), (200, None), (429, "3")]


def test_command_explains_what_it_can_not_do(api: ScriptedApi, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"default": [{"txt": ""}]}')
    for arguments, reason in [
        (("--script", str(tmp_path / "bad.json")), "script.default[0].txt: unknown key"),
        (("--script", str(tmp_path / "none.json")), "No such file"),
        (("--port", str(api.port)), "Address already in use"),
        (("--quota", "0"), "a quota needs per_s > 0"),
    ]:
        with start_command(*arguments) as process:
            _, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 2
        assert reason in err
