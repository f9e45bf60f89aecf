"""The prefix cache and the gates of the scripted API, as the real CLI meets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from testkit.cli import Cli
from testkit.client import LIMIT_S, ask, script
from testkit.command import Cpr, prompts

from cpr_nb.offline.scripted_api import Quota, ScriptedApi

pytestmark = pytest.mark.real_cli

FLAG = "--exclude-dynamic-system-prompt-sections"
ALMOST_NEVER = 1e-9


def retries(lines: list[dict[str, Any]]) -> list[tuple[int, str]]:
    found = [line for line in lines if line.get("subtype") == "api_retry"]
    return [(line["error_status"], line["error"]) for line in found]


def test_equal_tasks_one_by_one_make_one_write(real_cpr: Cpr, api: ScriptedApi) -> None:
    session = real_cpr.launch(prompts(*["the same task"] * 3), "-j1").wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded"] * 3
    use = api.cache_use
    assert (use.n_anew, use.n_reads, use.read_tokens) == (1, 2, 2 * use.write_tokens)


def test_equal_tasks_at_once_write_it_each(real_cpr: Cpr, api: ScriptedApi) -> None:
    prompt = script({"wait": "go", "text": "done"})
    session = real_cpr.launch(prompts(*[prompt] * 3), "-j3")
    api.wait_for(lambda record: record.seq == 3, LIMIT_S)
    api.release("go")
    assert [task.outcome for task in session.wait(LIMIT_S)] == ["succeeded"] * 3
    assert api.cache_use[:2] == (3, 0)


@pytest.mark.slow
def test_in_folders_of_their_own_tasks_share_more_with_the_flag(
    real_cpr: Cpr, api: ScriptedApi, tmp_path: Path
) -> None:
    shared = []
    for flags in ([], [FLAG]):
        before, tasks = api.cache_use, []
        for number in range(2):
            folder = tmp_path / f"{len(flags)}-{number}"
            folder.mkdir()
            task = {"prompt": "the same task", "cwd": str(folder), "claude_args": flags}
            tasks.append({**task, "env": {"CLAUDE_CODE_DISABLE_AUTO_MEMORY": "0"}})
        session = real_cpr.launch(prompts(*tasks), "-j1").wait(LIMIT_S)
        assert [task.outcome for task in session] == ["succeeded"] * 2
        last = api.requests[-1]
        # The tools are shared in any case. The rest of the system prompt names the folder of the
        # notes ("auto memory"): it is shared only with the flag, or without notes.
        assert 0 < last.cache_read_tokens < last.cache_read_tokens + last.cache_write_tokens
        assert api.cache_use.n_reads > before.n_reads
        shared.append(last.cache_read_tokens)
    assert shared[0] < shared[1]


@pytest.mark.parametrize("counts", [True, False])
def test_the_billing_line_differs_between_prompts(
    claude: str, tmp_path: Path, counts: bool
) -> None:
    with ScriptedApi(billing_line_counts=counts) as api:
        cli = Cli(claude, tmp_path)
        for prompt in ("first: look at a", "another: look at b"):
            assert not cli(api, prompt).result()["is_error"]
        assert api.cache_use[:2] == ((2, 0) if counts else (1, 1))


def test_the_turns_of_a_task_read_what_the_turns_before_wrote(api: ScriptedApi, cli: Cli) -> None:
    shell = {"tool": "Bash", "input": {"command": "true", "description": "nothing"}}
    run = cli(api, script(shell, shell, {"text": "done"}), "--allowedTools", "Bash")
    usage = run.result()["usage"]
    first, second, third = api.requests
    assert first.cache_read_tokens == 0
    assert second.cache_read_tokens == first.cache_write_tokens
    assert third.cache_read_tokens == second.cache_read_tokens + second.cache_write_tokens
    assert usage["cache_read_input_tokens"] == api.cache_use.read_tokens
    assert usage["cache_creation_input_tokens"] == api.cache_use.write_tokens


def test_the_cli_tries_again_until_the_quota_lets_it_through(cli: Cli) -> None:
    with ScriptedApi(quota=Quota(ALMOST_NEVER, retry_after_s=0)) as api:
        assert ask(api, "takes the only token").status == 200
        run = cli(api, "Say hello.")
        api.wait_for(lambda record: record.gate == "quota", LIMIT_S)
        api.set_quota(None)
        lines = run.finish()
        assert lines[-1]["result"] == "Hello from the scripted API."
        refused = [record for record in api.requests if record.gate == "quota"]
        assert retries(lines) == [(429, "rate_limit")] * len(refused)
        assert api.n_admitted == 2


def test_a_subscription_that_is_used_up_ends_the_run_at_once(api: ScriptedApi, cli: Cli) -> None:
    api.limit_usage(3600)
    resets_at = int(ask(api, "hello").headers["anthropic-ratelimit-unified-reset"])
    run = cli(api, "Say hello.", subscription=True)
    lines = run.finish()
    assert run.process.returncode == 1
    (event,) = [line for line in lines if line["type"] == "rate_limit_event"]
    info = event["rate_limit_info"]
    assert (info["status"], info["resetsAt"]) == ("rejected", resets_at)
    assert info["rateLimitType"] == "five_hour"
    result = lines[-1]
    assert (result["is_error"], result["api_error_status"]) == (True, 429)
    assert result["api_error"] == "usage_limit_reached"
    assert result["result"].startswith("You've hit your 5-hour limit")
    assert [record.gate for record in api.requests] == ["usage_limit"] * 2


def test_with_an_api_key_the_cli_gives_up_if_it_would_wait_for_long(
    api: ScriptedApi, cli: Cli
) -> None:
    api.limit_usage(3600)
    lines = cli(api, "Say hello.").finish()
    assert (retries(lines), lines[-1]["api_error_status"]) == ([], 429)
    assert "api_error" not in lines[-1]
    assert not [line for line in lines if line["type"] == "rate_limit_event"]


def test_a_subscription_that_lost_its_login_ends_the_run(api: ScriptedApi, cli: Cli) -> None:
    api.lose_login("OAuth token has expired.")
    run = cli(api, "Say hello.", subscription=True)
    lines = run.finish()
    assert run.process.returncode == 1
    assert set(retries(lines)) == {(401, "authentication_failed")}
    result = lines[-1]
    assert (result["is_error"], result["api_error_status"]) == (True, 401)
    assert result["result"].endswith("401 OAuth token has expired.")


def test_with_an_api_key_the_cli_continues_once_the_login_is_back(
    api: ScriptedApi, cli: Cli
) -> None:
    api.lose_login()
    run = cli(api, "Say hello.")
    api.wait_for(lambda record: record.gate == "login", LIMIT_S)
    api.restore_login()
    lines = run.finish()
    assert lines[-1]["result"] == "Hello from the scripted API."
    assert set(retries(lines)) == {(401, "authentication_failed")}
