"""Bad input: exit 2, one line on stderr that names the element, and nothing happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub


def assert_refused(cpr: Cpr, stub: Stub, *args: str, words: str, **more: object) -> None:
    before = sorted(map(str, cpr.cwd.rglob("*")))
    done = cpr(*args, **more)  # type: ignore[arg-type]
    assert (done.returncode, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("cpr: ") and words in line, line
    assert "Traceback" not in line
    assert sorted(map(str, cpr.cwd.rglob("*"))) == before, "something was created"
    assert stub.calls() == {}, "the CLI was called"


# --- Prompts ------------------------------------------------------------------------------------

JSON_TEXTS = {
    "empty": ("", "stdin: is empty"),
    "white space": (" \n\t \n", "stdin: is empty"),
    "not JSON": ("fix the bug", "stdin: is not JSON: Expecting value at line 1, column 1"),
    "truncated": ('{"prompts": ["a",\n "b"', "stdin: is not JSON"),
    "line of the error": ('{"prompts":\n ["a",\n ]}', "at line 3"),
    "two values": ('{"prompts": ["a"]} {"prompts": ["b"]}', "Extra data at line 1, column 20"),
    "a list": ('["a"]', 'stdin: must be an object with "prompts"'),
    "a number": ("1", 'must be an object with "prompts"'),
    "no prompts": ('{"prompt": ["a"]}', 'must be an object with "prompts"'),
    "prompts is a text": ('{"prompts": "a"}', '"prompts" must be a list, not str'),
    "prompts is null": ('{"prompts": null}', '"prompts" must be a list, not NoneType'),
    "prompts is an object": ('{"prompts": {"a": "b"}}', '"prompts" must be a list, not dict'),
    "no element": (prompts(), "stdin: has no prompts"),
    "a number among them": (prompts("a", 3), "stdin: prompts[1]: must be a text or an object"),
    "null among them": (prompts(None), "stdin: prompts[0]: must be a text or an object"),
    "a list among them": (prompts(["a"]), "stdin: prompts[0]: must be a text or an object"),
    "no prompt in it": (prompts({"id": "x"}), "stdin: prompts[0]: has no 'prompt'"),
    "prompt is a number": (prompts({"prompt": 1}), "prompts[0].prompt: must be a text, not int"),
    "empty prompt": (prompts("a", ""), "stdin: prompts[1]: is empty"),
    "empty prompt in an object": (prompts({"prompt": ""}), "prompts[0].prompt: is empty"),
    "white space prompt": (prompts("a", "b", " \n\t"), "stdin: prompts[2]: is empty"),
    "NUL": (prompts("a\0b"), "stdin: prompts[0]: has a NUL character at 1"),
    "lone surrogate": (prompts("ab\ud800"), "prompts[0]: is not valid Unicode at character 2"),
    "over 10 MiB": (prompts("a", "x" * (10 * 2**20 + 1)), "prompts[1]: has 10485761 bytes"),
    "nested too deeply": ("[" * 100_000, "stdin: is not JSON that can be read"),
    "a huge number": ("9" * 5000, "stdin: is not JSON that can be read"),
    "unknown option": (
        prompts({"prompt": "a", "modell": "opus"}),
        "prompts[0]: unknown option 'modell'; did you mean model?",
    ),
    "option of the session": (
        prompts({"prompt": "a", "max_parallel": 2}),
        "prompts[0]: 'max_parallel' is an option of the session, not of a task",
    ),
    "option of a wrong type": (
        prompts({"prompt": "a", "max_turns": "3"}),
        "prompts[0].max_turns: must be a whole number, at least 1",
    ),
    "unknown effort": (prompts({"prompt": "a", "effort": "some"}), "prompts[0].effort: must be"),
    "missing cwd": (prompts({"prompt": "a", "cwd": "/no/such"}), "prompts[0].cwd: there is no"),
    "bad schema": (
        prompts({"prompt": "a", "schema": {"type": "array"}}),
        "prompts[0].schema: must be a JSON schema whose type is 'object'",
    ),
    "bad place in a schema": (
        prompts({"prompt": "a", "schema": {"properties": {"n": {"type": "int"}}}}),
        "prompts[0].schema: at properties.n.type: must be one of array, boolean, ",
    ),
    "bad env": (prompts({"prompt": "a", "env": {"A": 1}}), "prompts[0].env: the value of A must"),
}


@pytest.mark.parametrize(("text", "words"), JSON_TEXTS.values(), ids=JSON_TEXTS)
def test_bad_prompts_are_refused(stub_cpr: Cpr, stub: Stub, text: str, words: str) -> None:
    assert_refused(stub_cpr, stub, words=words, stdin=text)


HOSTILE_IDS = ["../../x", "a/b", "/etc/passwd", "..", ".hidden", "-x", "a b", "a\nb", "é", "a..b"]
HOSTILE_IDS += ["a.", "a.lock", "x" * 129, "", "a\\b", "$(id)", "a@2", "a\x1b[31m"]


@pytest.mark.parametrize("task_id", HOSTILE_IDS)
def test_ids_that_could_leave_the_folder_are_refused(
    stub_cpr: Cpr, stub: Stub, task_id: str
) -> None:
    text = prompts("first", {"id": task_id, "prompt": "a"})
    assert_refused(stub_cpr, stub, words="stdin: prompts[1].id: ", stdin=text)


@pytest.mark.parametrize("task_id", [1, ["a"], True])
def test_ids_that_are_no_texts_are_refused(stub_cpr: Cpr, stub: Stub, task_id: object) -> None:
    text = prompts({"id": task_id, "prompt": "a"})
    assert_refused(stub_cpr, stub, words="prompts[0].id: must be a text", stdin=text)


@pytest.mark.parametrize("second", ["docs", "DOCS"])
def test_an_id_used_twice_is_refused(stub_cpr: Cpr, stub: Stub, second: str) -> None:
    text = prompts({"id": "docs", "prompt": "a"}, "b", {"id": second, "prompt": "c"})
    words = f"prompts[2]: the id '{second}' is already that of prompts[0]"
    assert_refused(stub_cpr, stub, words=words, stdin=text)


TABLES = {
    "jsonl: bad line": ("p.jsonl", '"a"\n\n{"prompt": \n', "p.jsonl: is not JSON", "at line 3"),
    "jsonl: bad element": ("p.jsonl", '"a"\n\n5\n', "p.jsonl: line 3: must be a text", ""),
    "jsonl: unknown option": ("p.jsonl", '{"prompt": "a", "moel": 1}', "line 1: unknown", "model"),
    "jsonl: same id": (
        "p.jsonl",
        '{"id": "x", "prompt": "a"}\n{"id": "x", "prompt": "b"}',
        "line 2: the id 'x' is already that of line 1",
        "",
    ),
    "jsonl: empty": ("p.jsonl", "\n\n", "p.jsonl: is empty", ""),
    "csv: no prompt column": ("p.csv", "id,text\na,b\n", "has no column 'prompt'", "id, text"),
    "csv: unknown column": ("p.csv", "prompt,modle\na,b\n", "line 1: unknown option", "model"),
    "csv: same column twice": ("p.csv", "prompt,prompt\na,b\n", "same column twice", "line 1"),
    "csv: too many cells": ("p.csv", "prompt,id\na,b,c\n", "line 2: does not have as many", ""),
    "csv: too few cells": ("p.csv", "prompt,id\na,b\nc\n", "line 3: does not have as many", ""),
    "csv: bad cell": ("p.csv", "prompt,max_turns\na,many\n", "line 2.max_turns: ", "many"),
    "csv: empty prompt": ("p.csv", "prompt,id\na,x\n,y\n", "line 3.prompt: is empty", ""),
    "csv: torn quote": ("p.csv", 'prompt\n"a\n', "p.csv: is not CSV", "end of data"),
    "csv: header only": ("p.csv", "prompt\n", "p.csv: has no prompts", ""),
}


@pytest.mark.parametrize(("name", "text", "words", "more"), TABLES.values(), ids=TABLES)
def test_bad_tables_are_refused_with_the_line(
    stub_cpr: Cpr, stub: Stub, name: str, text: str, words: str, more: str
) -> None:
    (stub_cpr.cwd / name).write_text(text)
    assert_refused(stub_cpr, stub, name, words=words)
    assert more in stub_cpr(name).stderr


# --- Files --------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_refused(stub_cpr: Cpr, stub: Stub) -> None:
    assert_refused(stub_cpr, stub, "nope.json", words="nope.json: can't read it: No such file")


def test_a_directory_as_file_is_refused(stub_cpr: Cpr, stub: Stub) -> None:
    (stub_cpr.cwd / "folder").mkdir()
    assert_refused(stub_cpr, stub, "folder", words="folder: can't read it: Is a directory")


def test_a_file_that_is_not_utf_8_is_refused(stub_cpr: Cpr, stub: Stub) -> None:
    (stub_cpr.cwd / "p.json").write_bytes(b'{"prompts": ["\xff"]}')
    assert_refused(stub_cpr, stub, "p.json", words="p.json: is not UTF-8: byte 14")


def test_two_files_are_refused(stub_cpr: Cpr, stub: Stub) -> None:
    (stub_cpr.cwd / "a.json").write_text(prompts("a"))
    assert_refused(stub_cpr, stub, "a.json", "b.json", words="unknown argument 'b.json'")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["stauts", "x"], "no file 'stauts'; did you mean status? (see cpr --help)"),
        (["--results-dir", "here", "marge"], "did you mean merge?"),
        (["hlep"], "did you mean help?"),
        (["resme"], "did you mean resume?"),
        (["nothing"], "nothing: can't read it: No such file or directory"),
        (["run", "stauts"], "stauts: can't read it: No such file or directory"),
    ],
)
def test_a_mistyped_command_names_the_nearest(
    stub_cpr: Cpr, stub: Stub, words: list[str], hint: str
) -> None:
    assert_refused(stub_cpr, stub, *words, words=hint)


def test_a_file_may_have_a_name_that_is_nearly_a_command(stub_cpr: Cpr, stub: Stub) -> None:
    (stub_cpr.cwd / "stauts").write_text(prompts("a"))
    assert "Loaded 1 prompts" in stub_cpr.good("stauts", "--dry-run")


# --- Options ------------------------------------------------------------------------------------

OPTIONS = {
    "unknown": (["--max-paralel=3"], "unknown option '--max-paralel=3'; did you mean"),
    "unknown, near": (["--modle", "opus"], "did you mean --model"),
    "worktree outside of a repository": (["--worktree"], "is not in a git repository"),
    "negative": (["--max-parallel=-1"], "max_parallel: must be a whole number, at least 0, not -1"),
    "negative, apart": (["--max-parallel", "-1"], "max"),
    "no number": (["--max-parallel", "abc"], "--max-parallel"),
    "no value": (["--max-parallel"], "max-parallel"),
    "fraction": (["-j", "1.5"], "1.5"),
    "unknown mode": (["--permissions", "root"], "--permissions"),
    "zero turns": (["--max-turns", "0"], "max_turns"),
    "negative time": (["--timeout-s=-5"], "timeout_s"),
    "endless time": (["--timeout-s", "inf"], "timeout_s"),
    "no time": (["--silence-s", "soon"], "--silence-s"),
    "free of charge": (["--budget-usd", "0"], "budget_usd"),
    "no folder": (["--cwd", "/no/such/folder"], "cwd: there is no folder /no/such/folder"),
    "schema file missing": (["--schema", "nope.json"], "--schema: can't read nope.json"),
    "schema no JSON": (["--schema", "{oops"], "--schema"),
    "schema of an array": (["--schema", '{"type": "array"}'], "schema: must be a JSON schema"),
    "schema with a typo": (
        ["--schema", '{"properties": {}, "requird": []}'],
        "schema: unknown keyword 'requird'; did you mean required?",
    ),
    "no schema of types": (["--schema", '{"bugs": "int"}'], "to Python types: 'bugs' is 'int'"),
    "empty rule": (["--allow", " "], "allow: has an element that "),
    "an argument of our own": (["--claude-args=--resume"], "--resume is set by cpr itself"),
    "a variable that is not set": (["--env", "NOT_SET_HERE"], "NOT_SET_HERE is not set here"),
    "no name of a variable": (["--env", "=x"], "env"),
    "name like an option": (["--name=-x"], "name"),
    "format": (["--format", "xml"], "--format"),
}


@pytest.mark.parametrize(("args", "words"), OPTIONS.values(), ids=OPTIONS)
def test_bad_options_are_refused(stub_cpr: Cpr, stub: Stub, args: list[str], words: str) -> None:
    assert_refused(stub_cpr, stub, *args, words=words, stdin=prompts("a"))


def test_a_schema_file_that_is_too_deep_is_refused(stub_cpr: Cpr, stub: Stub) -> None:
    (stub_cpr.cwd / "deep.json").write_text("[" * 100_000)
    words = "--schema: deep.json is not JSON"
    assert_refused(stub_cpr, stub, "--schema", "deep.json", words=words, stdin=prompts("a"))


# --- Sessions -----------------------------------------------------------------------------------


@pytest.fixture
def three_sessions(stub_cpr: Cpr) -> Cpr:
    for name in ("abcd1111-0", "abcd2222-0", "ffff0000-0"):
        folder = stub_cpr.cwd / "results" / f"session-{name}"
        folder.mkdir(parents=True)
        head = {"session_id": name, "overall_status": "completed", "start_time": 1, "tasks": []}
        (folder / "status.json").write_text(json.dumps(head))
    return stub_cpr


@pytest.mark.parametrize("verb", ["status", "results", "watch", "logs", "cancel", "retry"])
@pytest.mark.parametrize(
    ("session", "words"),
    [
        ("nope-nope", "Session nope-nope not found or no status available"),
        ("fff", "a prefix needs 4 characters"),
        ("abcd", "'abcd' matches 2 sessions: abcd1111-0, abcd2222-0"),
        ("../results/session-ffff0000-0", "not found"),
        ("", "not found"),
    ],
)
def test_a_session_that_nobody_can_mean_is_refused(
    three_sessions: Cpr, stub: Stub, verb: str, session: str, words: str
) -> None:
    assert_refused(three_sessions, stub, verb, session, words=words)


@pytest.mark.parametrize("flag", ["--status", "--results"])
def test_the_short_grammar_refuses_an_unknown_session(
    three_sessions: Cpr, stub: Stub, flag: str
) -> None:
    assert_refused(three_sessions, stub, flag, "nope", words="Session nope not found")
    assert_refused(three_sessions, stub, flag, words="SESSION")


@pytest.mark.parametrize("verb", ["watch", "logs"])
def test_no_session_at_all_is_said(stub_cpr: Cpr, stub: Stub, verb: str) -> None:
    assert_refused(stub_cpr, stub, verb, words="there is no session in")


# --- The machine --------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [(), ("--claude-path", "/nope/claude")])
def test_a_named_cli_that_is_not_there_is_refused(
    stub_cpr: Cpr, stub: Stub, flag: tuple[str, ...]
) -> None:
    env = {"CPR_CLAUDE": str(stub) if flag else "/nope/claude"}
    words = "--claude-path: /nope" if flag else "CPR_CLAUDE: /nope"
    assert_refused(stub_cpr, stub, *flag, words=words, stdin=prompts("a"), env=env)


def test_no_cli_at_all_is_refused(stub_cpr: Cpr) -> None:
    # Neither named, nor on PATH, nor bundled with an installed SDK.
    code = (
        "import importlib.util as util; find = util.find_spec; "
        "util.find_spec = lambda name, *a: None if name == 'claude_agent_sdk' else find(name, *a); "
        "from cpr_nb.cli.main import console; console()"
    )
    env = {name: value for name, value in stub_cpr.env.items() if name != "CPR_CLAUDE"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=prompts("a"),
        capture_output=True,
        text=True,
        cwd=stub_cpr.cwd,
        env={**env, "PATH": "/nonexistent"},
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("cpr: Claude Code CLI not found: install it")
    assert not any(stub_cpr.cwd.iterdir())


@pytest.mark.parametrize("place", ["below a file", "in /proc"])
def test_a_results_directory_that_cannot_be_written_is_refused(
    stub_cpr: Cpr, stub: Stub, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "results") if place == "below a file" else "/proc/results"
    words = f"can't write to the results directory {folder}"
    text = prompts("a")
    assert_refused(stub_cpr, stub, "--results-dir", folder, words=words, stdin=text)
    assert_refused(stub_cpr, stub, words=words, stdin=text, env={"CPR_RESULTS_DIR": folder})


def test_all_permissions_are_refused_for_root(stub_cpr: Cpr, stub: Stub) -> None:
    if os.geteuid() != 0:
        pytest.skip("only for root")
    env = {"IS_SANDBOX": ""}
    words = "the CLI refuses 'all' for root"
    for flag in ("--permissions=all", "--dangerously-skip-permissions"):
        assert_refused(stub_cpr, stub, flag, words=words, stdin=prompts("a"), env=env)


def test_bad_settings_are_refused_with_their_file(stub_cpr: Cpr, stub: Stub) -> None:
    file = stub_cpr.cwd / "pyproject.toml"
    for text, words in [
        ("[tool.cpr\n", "pyproject.toml: is not TOML"),
        ('[tool.cpr]\nmodle = "opus"\n', "pyproject.toml [tool.cpr]: unknown option 'modle'"),
        ('[tool.cpr]\nschema = {type = "array"}\n', "[tool.cpr].schema: must be a JSON schema"),
        ("[tool.cpr]\nschema = {n = 1979-05-27}\n", "[tool.cpr].schema: 'n' has a type"),
        ("[tool.cpr]\nmax_parallel = -1\n", "pyproject.toml [tool.cpr].max_parallel: must be"),
        ('[tool.cpr]\nclaude_path = "./x"\n', "[tool.cpr].claude_path: is not allowed here"),
        ('[tool.cpr]\npermissions = "all"\n', "[tool.cpr].permissions: is not allowed here"),
    ]:
        file.write_text(text)
        assert_refused(stub_cpr, stub, words=words, stdin=prompts("a"))


@pytest.mark.parametrize("verb", ["results", "logs"])
def test_an_empty_name_of_a_task_is_refused(three_sessions: Cpr, stub: Stub, verb: str) -> None:
    words = "has no task ''"
    assert_refused(three_sessions, stub, verb, "ffff0000-0", "--task", "", words=words)


def test_a_folder_that_is_gone_is_reported(stub_cpr: Cpr) -> None:
    command = 'mkdir gone && cd gone && rmdir ../gone && "$0" list'
    done = subprocess.run(
        ["bash", "-c", command, stub_cpr.path],
        cwd=stub_cpr.cwd,
        env=stub_cpr.env,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("where", [">&-", "> /dev/full"])
def test_output_that_nobody_can_take_is_no_traceback(stub_cpr: Cpr, where: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$0" list {where}', stub_cpr.path],
        cwd=stub_cpr.cwd,
        env=stub_cpr.env,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
