"""How an attempt ended: every recording of the real CLI, and every other way to end.

The rows are the truth table of the CLI 2.1.330; ``recordings/README.md`` says where the
recordings come from.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpr_nb.model import states
from cpr_nb.model.events import RunFacts
from cpr_nb.model.outcome import LINGERED, TERMINATION_CAUSES, Exit, derive
from cpr_nb.model.text import one_line

RECORDINGS = Path(__file__).parent / "recordings"
GOOD = {"type": "result", "subtype": "success", "is_error": False, "result": "done"}
BAD = {**GOOD, "is_error": True, "terminal_reason": "api_error"}
LIMITED = {"type": "result", "subtype": "error_max_turns", "is_error": False, "errors": []}
NOBODY = {**GOOD, "num_turns": 0, "result": "refused by a hook"}


@dataclass(frozen=True)
class Row:
    """One recording: how its process ended, and what must come of it."""

    name: str
    exit_code: int | None
    outcome: str
    reason: str
    cost_usd: float | None
    num_turns: int | None
    tokens: tuple[int, int] | None  # input, output; nothing was cached in any of them
    # Of a run that was killed the tokens are those that its messages began with.
    n_denials: int = 0
    api_retries: int = 0
    signal: int | None = None
    schema: bool = False
    error: str = ""


NOTHING = (0, 0)
OK = ("succeeded", "completed")
ROWS = [
    Row("plain", 0, *OK, 0.0008, 1, (100, 20)),
    Row("tools", 0, *OK, 0.004, 6, (500, 100)),
    Row("partial", 0, *OK, 0.0008, 1, (100, 20)),
    Row("bgtask_normal_end", 0, *OK, 0.0016, 2, (200, 40)),
    Row("sbx_default", 0, *OK, 0.0064, 8, (800, 160)),
    # A denial never fails a task, but it is counted.
    Row("perm_default", 0, *OK, 0.0048, 6, (600, 120), n_denials=4),
    Row("perm_acceptEdits", 0, *OK, 0.0048, 6, (600, 120), n_denials=2),
    # What the CLI retried by itself. The request that was cut off has been paid for too.
    Row("cut_once", 0, *OK, 0.00124, 1, (200, 22), api_retries=1),
    Row("retry_429_ok", 0, *OK, 0.0008, 1, (100, 20), api_retries=2),
    Row("fallback", 0, *OK, 0.0004, 1, (100, 20), api_retries=3),
    # Limits of a task. `usage` leaves out the last request, `modelUsage` does not.
    Row("max_turns", 1, "failed", "max_turns", 0.0016, 3, (200, 40), error="number of turns (2)"),
    Row("budget", 1, "failed", "budget", 0.012, 2, (2000, 200), error="maximum budget ($0.01)"),
    # Requests that failed for good: subtype "success", is_error true.
    Row("credit_low", 1, "failed", "api_error", 0, 1, NOTHING, error="Credit balance is too low"),
    Row("prompt_too_long", 1, "failed", "prompt_too_long", 0, 1, NOTHING, error="too long"),
    Row("err_401_r0", 1, "failed", "auth", 0, 1, NOTHING, error="Failed to authenticate"),
    Row("err_429", 1, "failed", "rate_limit", 0, 1, NOTHING, api_retries=10, error="(429)"),
    Row("unified_429", 1, "failed", "rate_limit", 0, 1, NOTHING, error="(429)"),
    Row("err_529", 1, "failed", "overloaded", 0, 1, NOTHING, api_retries=10, error="Overloaded"),
    Row("err_refused", 1, "failed", "network", 0, 1, NOTHING, api_retries=10, error="refused"),
    Row("refusal", 1, "failed", "refusal", 0.0016, 2, (200, 40), error="safeguards flagged"),
    Row("max_tokens", 1, "failed", "max_tokens", 0.0032, 4, (400, 80), error="token maximum"),
    # A structure that was asked for.
    Row("schema_ok", 0, *OK, 0.0016, 3, (200, 40), schema=True),
    Row("schema_never", 0, "failed", "no_structure", 0.0016, 2, (200, 40), schema=True),
    Row("schema_always_bad", 1, "failed", "bad_structure", 0.004, 6, (500, 100), schema=True,
        error="Failed to provide valid structured output"),
    # Conversations: a resumed one costs what its own run cost, not the sum.
    Row("sess_first", 0, *OK, 0.0016, 2, (200, 40)),
    Row("sess_resume", 0, *OK, 0.0008, 1, (100, 20)),
    Row("sess_resume_unknown", 1, "failed", "usage_error", 0, 0, NOTHING,
        error="No conversation found"),
    Row("perm_bypass_root_nosandbox", 1, "failed", "usage_error", None, None, None,
        error="cannot be used with root/sudo privileges"),
    # Signals from elsewhere (nobody here asked for them). SIGINT ends with exit 0.
    Row("sigint", 0, "failed", "signal", 0.0008, 3, (100, 20)),
    Row("sigterm", 143, "failed", "signal", None, None, (100, 1), error="ended by signal 15"),
    Row("sigkill", None, "failed", "signal", None, None, (100, 1), signal=9,
        error="ended by signal 9"),
]  # fmt: skip


def facts_of(name: str) -> RunFacts:
    facts = RunFacts()
    for line in (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines(keepends=True):
        facts.feed(line)
    return facts


def exit_of(row: Row, **changes: Any) -> Exit:
    stderr = RECORDINGS / f"{row.name}.stderr"
    fields: dict[str, Any] = {
        "exit_code": row.exit_code,
        "signal": row.signal,
        "result": facts_of(row.name).result,
        "stderr": stderr.read_text() if stderr.exists() else "",
    }
    return Exit(**{**fields, **changes})


def test_no_recording_lacks_a_row_and_no_row_its_recording() -> None:
    recorded = {path.stem for path in RECORDINGS.iterdir() if path.suffix in (".jsonl", ".stderr")}
    assert sorted(row.name for row in ROWS) == sorted(recorded)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_recording_gives_its_outcome_and_reason(row: Row) -> None:
    outcome = derive(exit_of(row), schema=row.schema)
    assert (outcome.outcome, outcome.reason) == (row.outcome, row.reason)
    assert row.error in outcome.error
    assert bool(outcome.error) == (row.outcome != "succeeded")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_recording_gives_its_figures(row: Row) -> None:
    facts = facts_of(row.name)
    assert facts.cost_usd == (None if row.cost_usd is None else pytest.approx(row.cost_usd))
    assert (facts.result or {}).get("num_turns") == row.num_turns
    assert facts.n_denials == row.n_denials
    assert facts.api_retries == row.api_retries
    expected = {"cache_read_tokens": 0, "cache_write_tokens": 0}
    if row.tokens is not None:
        expected |= dict(zip(("input_tokens", "output_tokens"), row.tokens, strict=True))
    assert facts.tokens == (expected if row.tokens is not None else {})


def test_the_model_is_the_one_that_answered_and_the_version_that_of_the_cli() -> None:
    assert facts_of("plain").model == "claude-opus-5-5"
    assert facts_of("fallback").model == "claude-sonnet-5-5"
    assert facts_of("plain").claude_version == "2.1.330"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_without_an_exit_code_the_result_line_decides(row: Row) -> None:
    """An adopted process: its parent is gone, so nobody learns how it ended."""
    outcome = derive(exit_of(row, exit_code=None, signal=None), schema=row.schema)
    if facts_of(row.name).result is None:
        assert (outcome.outcome, outcome.reason) == ("lost", "vanished")
    else:
        assert (outcome.outcome, outcome.reason) == (row.outcome, row.reason)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("cause", sorted(TERMINATION_CAUSES))
def test_a_task_that_we_stopped_has_our_reason_unless_its_answer_was_there(
    row: Row, cause: str
) -> None:
    outcome = derive(exit_of(row, cause=cause), schema=row.schema)
    result = facts_of(row.name).result
    is_over = cause == LINGERED  # its turn had ended: the result says how
    if result is not None and (is_over or result["is_error"] is False):
        assert (outcome.outcome, outcome.reason) == (row.outcome, row.reason)
    else:
        assert (outcome.outcome, outcome.reason) == TERMINATION_CAUSES[cause]


@pytest.mark.parametrize(
    ("exit_", "outcome", "reason", "error"),
    [
        (Exit(0), "failed", "unknown", "exited with code 0 without a result line"),
        (Exit(1), "failed", "unknown", "exited with code 1 without a result line"),
        (Exit(3, stderr="no such\nflag"), "failed", "usage_error", "no such flag"),
        (Exit(0, stderr="a warning"), "failed", "unknown", "a warning"),
        (Exit(1, result=GOOD), "failed", "unknown", "exited with code 1 after its result line"),
        (Exit(1, result=GOOD, stderr="oops"), "failed", "unknown", "oops"),
        (Exit(143, result=GOOD), "failed", "signal", "ended by signal 15"),
        (Exit(signal=9, result=GOOD), "failed", "signal", "ended by signal 9"),
        (Exit(signal=15), "failed", "signal", "ended by signal 15"),
        (Exit(129), "failed", "signal", "ended by signal 1"),
        (Exit(137, stderr="Killed"), "failed", "signal", "Killed"),
        (Exit(128), "failed", "unknown", "exited with code 128 without a result line"),
        (Exit(255), "failed", "unknown", "exited with code 255 without a result line"),
        (Exit(0, result=GOOD), "succeeded", "completed", ""),
        (Exit(result=GOOD), "succeeded", "completed", ""),
        (Exit(0, result=LIMITED), "failed", "max_turns", "the CLI reports error_max_turns"),
        (Exit(result=LIMITED), "failed", "max_turns", "the CLI reports error_max_turns"),
        (Exit(143, result=LIMITED, cause="cancelled"), "cancelled", "cancelled", ""),
        # A later turn's trouble is the exit code of the run; it does not undo the answer.
        (Exit(1, result=GOOD, trouble=BAD), "succeeded", "completed", ""),
        (Exit(143, result=GOOD, trouble=BAD), "failed", "signal", "ended by signal 15"),
        # No model was asked.
        (Exit(0, result=NOBODY, answered=False), "failed", "no_answer", "refused by a hook"),
        (Exit(0, result={**NOBODY, "result": ""}, answered=False), "failed", "no_answer",
         "the CLI asked no model"),
        (Exit(0, result={**NOBODY, "result": "", "local_command": "clear"}, answered=False),
         "failed", "no_answer", "the CLI ran the command /clear"),
        (Exit(0, result={**GOOD, "num_turns": 1, "modelUsage": {}}, answered=False),  # 2.1.71
         "failed", "no_answer", "done"),
        (Exit(0, result={**GOOD, "result": "", "num_turns": 1}, answered=False),  # 2.0.45
         "failed", "no_answer", "the CLI asked no model"),
        (Exit(0, result={**GOOD, "num_turns": 1}, answered=False), "succeeded", "completed", ""),
        (Exit(0, result=BAD), "failed", "api_error", "done"),
        (Exit(result=BAD), "failed", "api_error", "done"),
        (Exit(0, result={}), "failed", "unknown", ""),
        (Exit(0, result={"is_error": None}), "failed", "unknown", ""),
        (Exit(0, result={"is_error": 0}), "failed", "unknown", ""),
        (Exit(), "lost", "vanished", "its process is gone, nothing tells how it ended"),
        (Exit(spawn_error="No such file"), "failed", "spawn", "No such file"),
        (Exit(143, result=GOOD, cause="cancelled"), "succeeded", "completed", ""),
        (Exit(signal=9, result=GOOD, cause="timeout"), "succeeded", "completed", ""),
        (Exit(0, result=BAD, cause="cancelled"), "cancelled", "cancelled", ""),
        (Exit(143, cause="cancelled"), "cancelled", "cancelled", ""),
        (Exit(143, cause="timeout"), "timed_out", "timeout", ""),
        (Exit(signal=9, cause="silence"), "timed_out", "silence", ""),
        (Exit(cause="cancelled"), "cancelled", "cancelled", ""),
    ],
)  # fmt: skip
def test_an_end_gives_its_outcome(exit_: Exit, outcome: str, reason: str, error: str) -> None:
    found = derive(exit_)
    assert (found.outcome, found.reason, found.error) == (outcome, reason, error)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"api_error_status": 400}, "api_error"),
        ({"api_error_status": 401}, "auth"),
        ({"api_error_status": 429}, "rate_limit"),
        ({"api_error_status": 529}, "overloaded"),
        ({"terminal_reason": "api_error"}, "api_error"),
        ({"terminal_reason": "aborted_streaming"}, "signal"),
        ({"subtype": "error_during_execution", "num_turns": 0}, "usage_error"),
        ({"subtype": "error_during_execution", "num_turns": 2}, "unknown"),
        ({"subtype": "error_of_a_later_release"}, "unknown"),
        ({"subtype": ["error_max_turns"], "terminal_reason": 7, "api_error": {}}, "unknown"),
    ],
)
def test_an_error_result_gives_its_reason(result: dict[str, Any], reason: str) -> None:
    assert derive(Exit(1, result={**result, "is_error": True})).reason == reason


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ('API Error: 400 {"type":"error","error":{}}', "api_error"),
        ('API Error: 403 {"type":"error"} · Please run /login', "forbidden"),
        ("API Error: 404 no such model", "api_error"),
        ("API Error: 429 slow down", "rate_limit"),
        ("API Error: 500 oops", "api_error"),
        ("API Error: 529 Overloaded", "overloaded"),
        ("API Error: Repeated 529 Overloaded errors", "overloaded"),
        ("Invalid API key · Fix external API key", "auth"),
        ("Not logged in · Please run /login", "auth"),
        ("Prompt is too long", "prompt_too_long"),
        ("Credit balance is too low", "api_error"),
        ("Claude AI usage limit reached|1760000000", "rate_limit"),
        ("You've hit your limit · resets 7pm", "rate_limit"),
        ("API Error: Connection error.", "network"),  # 2.0.45, 2.1.29
        ("API Error: Unable to connect to API (ConnectionRefused)", "network"),  # 2.1.71, 2.1.126
        ("API Error: Connection refused — a firewall or proxy may be blocking it", "network"),
        ("API Error: Request timed out.", "network"),
        ("API Error: something new", "api_error"),
        ("The connection error in app.py is fixed.", "unknown"),
    ],
)
def test_the_words_tell_where_the_fields_do_not(words: str, reason: str) -> None:
    result = {"subtype": "success", "is_error": True, "num_turns": 1, "result": words}
    assert derive(Exit(1, result=result)).reason == reason
    assert derive(Exit(1, result={**result, "terminal_reason": "completed"})).reason == reason


@pytest.mark.parametrize(
    ("structure", "schema", "outcome"),
    [
        ({}, True, "failed"),
        ({"structured_output": None}, True, "failed"),
        ({"structured_output": {}}, True, "succeeded"),
        ({"structured_output": {"n": 1}}, True, "succeeded"),
        ({}, False, "succeeded"),
        ({"structured_output": {"n": 1}}, False, "succeeded"),
    ],
)
def test_a_structure_must_be_there_if_it_was_asked_for(
    structure: dict[str, Any], schema: bool, outcome: str
) -> None:
    found = derive(Exit(0, result={**GOOD, **structure}), schema=schema)
    assert found.outcome == outcome
    assert found.reason == ("completed" if outcome == "succeeded" else "no_structure")


def test_a_missing_structure_is_not_excused_by_our_own_signal() -> None:
    found = derive(Exit(143, result=GOOD, cause="cancelled"), schema=True)
    assert (found.outcome, found.reason) == ("failed", "no_structure")


# -- any result line at all -------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
WORDS = st.sampled_from(
    ["success", "error_max_turns", "error_during_execution", "completed", "api_error",
     "aborted_tools", "refusal", "connection_failed"]
)  # fmt: skip
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "is_error": st.sampled_from([True, False]) | JSON_VALUES,
        "structured_output": JSON_VALUES,
        **dict.fromkeys(
            ("subtype", "terminal_reason", "stop_reason", "api_error"), WORDS | JSON_VALUES
        ),
        **dict.fromkeys(("api_error_status", "num_turns", "errors", "result"), JSON_VALUES),
    },
)
EXITS = st.builds(
    Exit,
    st.sampled_from([None, 0, 0, 1, 2, 128, 129, 143, 255]),
    signal=st.sampled_from([None, None, 2, 9, 15]),
    result=st.none() | RESULTS,
    stderr=st.just("") | st.text(max_size=20),
    spawn_error=st.sampled_from(["", "", "", "No such file"]),
    cause=st.sampled_from([None, None, *TERMINATION_CAUSES]),
)


@pytest.mark.slow
@settings(max_examples=500)
@given(EXITS, st.booleans())
def test_a_task_succeeds_if_and_only_if_the_truth_table_says_so(exit_: Exit, schema: bool) -> None:
    result = copy.deepcopy(exit_.result)
    outcome = derive(exit_, schema=schema)

    ran = not exit_.spawn_error
    answered = result is not None and "is_error" in result and result["is_error"] is False
    answered &= not str((result or {}).get("subtype", "")).startswith("error")
    exited_well = exit_.exit_code == 0 or (exit_.exit_code is None and exit_.signal is None)
    we_stopped_it = exit_.cause is not None
    structured = not schema or (result or {}).get("structured_output") is not None
    expected = ran and answered and (exited_well or we_stopped_it) and structured

    assert (outcome.outcome == "succeeded") == expected
    assert (outcome.reason == "completed") == expected


@pytest.mark.slow
@settings(max_examples=500)
@given(EXITS, st.booleans())
def test_an_outcome_is_always_in_the_vocabulary_and_on_one_line(exit_: Exit, schema: bool) -> None:
    outcome = derive(exit_, schema=schema)
    assert outcome.outcome in states.OUTCOMES
    assert outcome.reason in states.REASONS
    assert outcome.error == one_line(outcome.error)
    if outcome.outcome in ("failed", "lost") and exit_.result is None:
        assert outcome.error, "a failure without a result line must say something"
