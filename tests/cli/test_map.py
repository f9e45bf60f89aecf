"""``cpr map``: rows in, typed columns out; the same command goes on, and nothing is paid twice."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.command import LIMIT_S, Cpr, script
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.cli.main import main
from cpr_nb.offline.scripted_api import ScriptedApi

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "bugs": {"type": "integer"},
            "level": {"enum": ["low", "high"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    }
)
TYPED = ("--schema", SCHEMA, "--attempts", "1")


def answer(**fields: Any) -> str:
    return plan(result={"structured_output": fields})


FAILS = plan(result={"is_error": True, "result": "no"}, exit=1)
ROWS = [
    {"id": "007", "price": "1.5", "do": answer(bugs=2, level="high", tags=["a", "ü"])},
    {"id": "08", "price": "2.25", "do": answer(bugs=0, level="low", tags=[])},
]


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def sessions(work: Path) -> list[Path]:
    return sorted((work / "results").glob("session-*"))


def test_csv_in_and_typed_columns_out(stub_cpr: Cpr, stub: Stub) -> None:
    write_csv(stub_cpr.cwd / "rows.csv", ROWS)
    said = stub_cpr.good("map", "Row {id}, {price}: {do}", "rows.csv", *TYPED, "-o", "out.csv")
    assert "✅ out.csv: 2 rows" in said
    first, second = read_csv((stub_cpr.cwd / "out.csv").read_text())
    # The cells of the file come back as they were, and the prompt has them so.
    assert [{name: row[name] for name in ROWS[0]} for row in (first, second)] == ROWS
    assert {call["stdin"].split(":")[0] for call in stub.calls().values()} == {
        "Row 007, 1.5",
        "Row 08, 2.25",
    }
    assert (first["bugs"], first["level"], json.loads(first["tags"])) == ("2", "high", ["a", "ü"])
    assert (second["bugs"], second["ok"], second["outcome"]) == ("0", "True", "succeeded")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_other_formats_in_and_out(stub_cpr: Cpr, form: str) -> None:
    work = stub_cpr.cwd
    rows = [{**row, "n": n, "more": {"k": [n]}} for n, row in enumerate(ROWS, 1)]
    if form == "jsonl":
        (work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pd.DataFrame(rows).to_parquet(work / "rows.parquet")
    template = "Row {n} {more}: {do}"
    stub_cpr.good("map", template, f"rows.{form}", *TYPED, "-o", f"out.{form}")
    if form == "jsonl":
        first, second = map(json.loads, (work / "out.jsonl").read_text().splitlines())
        assert {name: first[name] for name in rows[0]} == rows[0]
        assert (first["bugs"], first["level"], first["tags"]) == (2, "high", ["a", "ü"])
        assert (second["tags"], second["ok"]) == ([], True)
    else:
        table = pd.read_parquet(work / "out.parquet", dtype_backend="numpy_nullable")
        dtypes = {name: str(table[name].dtype) for name in ("n", "id", "bugs", "level", "ok")}
        assert dtypes.pop("level") in ("category", "string")
        assert dtypes == {"n": "Int64", "id": "string", "bugs": "Int64", "ok": "boolean"}
        assert [list(tags) for tags in table["tags"]] == [["a", "ü"], []]


def test_a_prompt_has_what_is_nested_as_json(stub_cpr: Cpr, stub: Stub) -> None:
    (stub_cpr.cwd / "rows.jsonl").write_text('{"x": {"a": ["é"]}, "y": [true], "z": 1}\n{"z": 2.5}')
    done = stub_cpr("map", "{x} {y} {z}", "rows.jsonl")
    assert (done.returncode, "line 2: 'x' is empty" in done.stderr) == (2, True)
    stub_cpr.good("map", "{z}", "rows.jsonl", "-o", "-")
    assert {call["stdin"] for call in stub.calls().values()} == {"1", "2.5"}
    stub_cpr.good(
        "map", "{x} {y}", "-", "--format", "jsonl", "-o", "-", stdin='{"x":{"a":["é"]},"y":[true]}'
    )
    assert '{"a": ["é"]} [true]' in {call["stdin"] for call in stub.calls().values()}


def test_rows_that_fail_are_said_and_the_same_command_runs_only_them(
    stub_cpr: Cpr, stub: Stub
) -> None:
    mended = {"is_error": False, "subtype": "success", "structured_output": {"bugs": 7}}
    last = plan(result={"is_error": True, "result": "no"}, exit=1, mended=mended)
    write_csv(stub_cpr.cwd / "rows.csv", [*ROWS, {"id": "x", "price": "", "do": last}])
    command = ("map", "{id}: {do}", "rows.csv", *TYPED, "-o", "out.csv")
    done = stub_cpr(*command)
    assert done.returncode == 1
    assert "❌ out.csv: 3 rows · 1 without an answer" in done.stdout
    assert "  1 failed: no\n" in done.stdout, "the words of the error"
    assert "the same command runs these again, and only these" in done.stdout
    rows = read_csv((stub_cpr.cwd / "out.csv").read_text())
    assert [row["outcome"] for row in rows] == ["succeeded", "succeeded", "failed"]
    assert (rows[2]["bugs"], rows[2]["ok"]) == ("", "False")
    stub.mend()
    said = stub_cpr.good(*command)
    assert "✅ out.csv: 3 rows · 2 reused" in said
    rows = read_csv((stub_cpr.cwd / "out.csv").read_text())
    assert [row["bugs"] for row in rows] == ["2", "0", "7"]
    assert len(stub.calls()) == 4
    again = stub_cpr(*command)  # nothing is left to run
    assert (again.returncode, "attached to" in again.stderr) == (0, True)
    assert len(stub.calls()) == 4 and len(sessions(stub_cpr.cwd)) == 2
    stub_cpr.good(*command, "--fresh")
    assert len(stub.calls()) == 7


@pytest.mark.real_cli
def test_ctrl_c_ends_the_wait_and_the_same_command_goes_on(real_cpr: Cpr, api: ScriptedApi) -> None:
    held = [script({"wait": "go", "text": f"answer {number}"}) for number in range(2)]
    write_csv(real_cpr.cwd / "rows.csv", [{"do": text} for text in held])
    command = ("map", "{do}", "rows.csv", "--light", "-o", "out.csv")
    with real_cpr.on_terminal(*command) as terminal:
        for text in held:
            api.wait_for(lambda record, text=text: text in record.last_user_text, LIMIT_S)
        terminal.press_ctrl_c()
        assert terminal.finish() == 130
    assert "the same command goes on, and writes out.csv" in terminal.text
    assert not (real_cpr.cwd / "out.csv").exists()
    second = real_cpr.start(*command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert second.stderr is not None and second.stdout is not None
    while b"attached to" not in (line := second.stderr.readline()):
        assert line, "it has not attached"
    api.release("go")
    out, _ = second.communicate(timeout=LIMIT_S)
    assert (second.returncode, "✅ out.csv: 2 rows" in out.decode()) == (0, True)
    rows = read_csv((real_cpr.cwd / "out.csv").read_text())
    assert [row["result"] for row in rows] == ["answer 0", "answer 1"]
    assert len(sessions(real_cpr.cwd)) == 1
    asked = [record.last_user_text for record in api.requests]
    assert sorted(sum(text in one for one in asked) for text in held) == [1, 1]


def test_an_interrupted_session_is_resumed(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    write_csv(stub_cpr.cwd / "rows.csv", [{"do": plan(here="task", gate="task")}, {"do": plan()}])
    command = ("map", "{do}", "rows.csv", "-j1", "--attempts", "1")
    stub_cpr.good(*command)
    stub.await_here("task")
    (folder,) = sessions(stub_cpr.cwd)
    runner = json.loads((folder / "runner.json").read_text())["pid"]
    os.kill(runner, signal.SIGKILL)
    session = cpr.Session(folder)
    with pytest.raises(cpr.SessionInterrupted):
        session.wait(LIMIT_S)
    said = stub_cpr(*command).stderr
    assert f"it is interrupted; cpr resume {session.id[:8]} resumes it" in said
    names = ["one.csv", "two.csv", "three.csv"]  # from three terminals: one resumes it, all wait
    again = [stub_cpr.start(*command, "-o", name, stderr=subprocess.PIPE) for name in names]
    stub.release("task")  # its agent has outlived the runner
    said = b"".join(process.communicate(timeout=LIMIT_S)[1] for process in again)
    assert b"was interrupted: it is resumed" in said
    assert [process.returncode for process in again] == [0, 0, 0], said
    tables = [read_csv((stub_cpr.cwd / name).read_text()) for name in names]
    assert [row["outcome"] for row in tables[0]] == ["succeeded", "succeeded"]
    assert tables[0] == tables[1] == tables[2] and len(stub.calls()) == 2
    assert len(sessions(stub_cpr.cwd)) == 1


def test_rows_of_another_session(stub_cpr: Cpr) -> None:
    write_csv(stub_cpr.cwd / "rows.csv", ROWS)
    stub_cpr.good("map", "{do}", "rows.csv", *TYPED, "--name", "first", "-o", "out.csv")
    more = ("--after", "first", "--where", "bugs > 1", "-o", "-")
    (row,) = read_csv(stub_cpr.good("map", "Fix {bugs} in {id}", *more))
    assert (row["id"], row["bugs"], row["result"]) == ("007", "2", "done")


def test_rows_of_a_session_that_still_runs(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("first")
    result = {"structured_output": {"bugs": 3}}
    write_csv(stub_cpr.cwd / "rows.csv", [{"do": plan(here="first", gate="first", result=result)}])
    stub_cpr.good("map", "{do}", "rows.csv", *TYPED, "--name", "first")
    stub.await_here("first")
    command = ("map", "Fix {bugs}", "--after", "first", "-o", "out.csv")
    waiting = stub_cpr.start(*command, stdout=subprocess.PIPE)
    assert waiting.stdout is not None
    while b"waits for" not in (line := waiting.stdout.readline()):
        assert line, "it is not planned"
    waiting.send_signal(signal.SIGINT)  # and the same command goes on
    waiting.communicate(timeout=LIMIT_S)
    assert waiting.returncode == 130
    again = stub_cpr.start(*command, stderr=subprocess.PIPE)
    assert again.stderr is not None
    while b"attached to" not in (line := again.stderr.readline()):
        assert line, "it has not attached"
    stub.release("first")
    again.communicate(timeout=LIMIT_S)
    assert again.returncode == 0
    (row,) = read_csv((stub_cpr.cwd / "out.csv").read_text())
    assert (row["bugs"], row["result"]) == ("3", "done")
    assert len(sessions(stub_cpr.cwd)) == 2 and len(stub.calls()) == 2


def test_the_best_candidate_of_each_row(stub_cpr: Cpr) -> None:
    write_csv(stub_cpr.cwd / "rows.csv", [{"name": "a", "do": plan()}, {"name": "b", "do": FAILS}])
    more = ("--best-of", "2", "--check", "true", "--attempts", "1", "-o", "-")
    done = stub_cpr("map", "{name}: {do}", "rows.csv", *more)
    assert (done.returncode, "1 no candidate has succeeded" in done.stderr) == (1, True)
    first, second = read_csv(done.stdout)
    assert (first["name"], first["solved"], second["solved"]) == ("a", "True", "False")


def test_a_pilot_says_how_the_other_rows_run(stub_cpr: Cpr) -> None:
    write_csv(stub_cpr.cwd / "rows.csv", [{"do": plan(), "n": n} for n in range(3)])
    said = stub_cpr.good("map", "{n}: {do}", "rows.csv", "--pilot", "2", "-o", "out.csv")
    assert "✅ out.csv: 3 rows" in said
    assert re.search(r"the other 1 task will cost; .* resume \w{8} --skipped runs them", said)


def test_denials_are_said_with_what_would_allow_them(stub_cpr: Cpr) -> None:
    denied = [{"tool_name": "Bash", "tool_input": {"command": "pytest -q"}}]
    write_csv(stub_cpr.cwd / "rows.csv", [{"do": plan(result={"permission_denials": denied})}])
    said = stub_cpr.good("map", "{do}", "rows.csv", "-o", "out.csv")
    assert "1 tool call was denied; to allow it: --allow 'Bash(pytest:*)'" in said


def test_a_cancelled_session_is_no_success(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("first")
    write_csv(stub_cpr.cwd / "rows.csv", [{"do": plan(here="first", gate="first")}])
    command = ("map", "{do}", "rows.csv", "-o", "out.csv")
    waiting = stub_cpr.start(*command, stdout=subprocess.PIPE)
    stub.await_here("first")
    (folder,) = sessions(stub_cpr.cwd)
    cpr.Session(folder).cancel()
    out = waiting.communicate(timeout=LIMIT_S)[0].decode()
    assert (waiting.returncode, "the session is cancelled" in out) == (1, True)
    (row,) = read_csv((stub_cpr.cwd / "out.csv").read_text())
    assert row["outcome"] == "cancelled"


def test_a_dry_run_starts_nothing(stub_cpr: Cpr, stub: Stub) -> None:
    write_csv(stub_cpr.cwd / "rows.csv", ROWS)
    stub_cpr.good("map", "{do}", "rows.csv", *TYPED, "-o", "out.csv")
    done = stub_cpr("map", "{do}", "rows.csv", *TYPED, "-o", "new.csv", "--dry-run")
    assert (done.returncode, "2 of 2 tasks have an answer already" in done.stderr) == (0, True)
    planned = json.loads(stub_cpr.good("map", "{id}", "rows.csv", "--dry-run", "--json"))
    assert [task["prompt"] for task in planned] == ["007", "08"]
    assert len(stub.calls()) == 2 and not (stub_cpr.cwd / "new.csv").exists()
    assert len(sessions(stub_cpr.cwd)) == 1


def test_without_o_it_returns_at_once(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    write_csv(stub_cpr.cwd / "rows.csv", [{"do": plan(here="task", gate="task")}])
    said = stub_cpr.good("map", "{do}", "rows.csv")
    assert "🚀 Started session" in said and "the same command with -o FILE" in said
    launched = json.loads(stub_cpr.good("map", "{do}", "rows.csv", "--json"))
    (folder,) = sessions(stub_cpr.cwd)
    assert launched["path"] == str(folder)
    stub.await_here("task")
    stub.release("task")
    cpr.Session(folder).wait(LIMIT_S)


def test_a_schema_as_fields(stub_cpr: Cpr) -> None:
    write_csv(stub_cpr.cwd / "rows.csv", [{"do": answer(bugs=2, level="low", tags=["a"])}])
    fields = "bugs: int, level: low | high, tags: list[str]"
    (planned,) = json.loads(
        stub_cpr.good("map", "{do}", "rows.csv", "--schema", fields, "--dry-run", "--json")
    )
    assert planned["schema"] == {
        "type": "object",
        "properties": {
            "bugs": {"type": "integer"},
            "level": {"type": "string", "enum": ["low", "high"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["bugs", "level", "tags"],
        "additionalProperties": False,
    }
    (row,) = read_csv(stub_cpr.good("map", "{do}", "rows.csv", "--schema", fields, "-o", "-"))
    assert (row["bugs"], row["level"], row["tags"]) == ("2", "low", '["a"]')


BAD: dict[str, tuple[str, tuple[str, ...], str]] = {
    "empty": ("", ("{a}", "rows.csv"), "rows.csv: line 1: is empty: the first line must name"),
    "header only": ("a\n", ("{a}", "rows.csv"), "rows.csv: has no rows"),
    "ragged": ("a,b\n1\n", ("{a}", "rows.csv"), "rows.csv: line 2: has 1 cells, and the first"),
    "twice": ("a,a\n1,2\n", ("{a}", "rows.csv"), "line 1: 'a' occurs twice"),
    "no name": ("a,\n1,2\n", ("{a}", "rows.csv"), "line 1: column 2 has no name"),
    "quote": ('a\n"x\n', ("{a}", "rows.csv"), "rows.csv: is not CSV: "),
    "unknown": ("path\nx\n", ("{pth}", "rows.csv"), "did you mean {path}?"),
    "other separator": ("a;b\n1;2\n", ("{a}", "rows.csv"), "nothing is called {a}: there is a;b."),
    "no template": ("a\n1\n", (" ", "rows.csv"), "cpr: TEMPLATE: is empty"),
    "empty cell": ("a,b\n1,2\n\n3,\n", ("{b}", "rows.csv"), "rows.csv: line 4: 'b' is empty"),
    "own column": ("ok\n1\n", ("{ok}", "rows.csv"), "'ok' of their own: rename that of the file"),
    "no file": ("", ("{a}", "gone.csv"), "gone.csv: can't read it: No such file"),
    "no rows": ("", ("{a}",), "no rows: name a file, or a session with --after"),
    "ending": ("a\n1\n", ("{a}", "rows.txt"), "rows.txt: must end in .csv, .jsonl"),
    "output's ending": ("a\n1\n", ("{a}", "rows.csv", "-o", "x.xls"), "'x.xls' must end in"),
    "output's folder": ("a\n1\n", ("{a}", "rows.csv", "-o", "no/x.csv"), "there is no folder"),
    "over the rows": ("a\n1\n", ("{a}", "rows.csv", "-o", "./rows.csv"), "would be overwritten"),
    "both": ("a\n1\n", ("{a}", "rows.csv", "-o", "-", "--json"), "both write to standard output"),
    "where": ("a\n1\n", ("{a}", "rows.csv", "--where", "a"), "it needs --after, and no file"),
    "after": ("a\n1\n", ("{a}", "--after", "none-such"), "none-such not found"),
    "number": (
        "a\n1\n",
        ("{a}", "rows.csv", "--best-of", "x"),
        "--best-of: must be a whole number",
    ),
    "fields": ("a\n1\n", ("{a}", "rows.csv", "--schema", "n: in"), "n has the type 'in'"),
    "field": ("a\n1\n", ("{a}", "rows.csv", "--schema", "n: int, m"), "'m' is no field"),
    "two": ("a\n1\n", ("{a}", "rows.csv", "--schema", "n: int, n: str"), "each name once"),
    "schema column": ("n\n1\n", ("{n}", "rows.csv", "--schema", "n: int"), "'n' of their own"),
    "vary": ("a\n1\n", ("{a}", "rows.csv", "--vary", "model"), "--vary: must be NAME=A,B"),
    "schema": (
        "n\n1\n",
        ("{n}", "rows.csv", "--schema", "{}", "--schema", "[1"),
        "--schema: can't",
    ),
}


@pytest.fixture
def here(
    stub_env: dict[str, str], in_env: Callable[[dict[str, str]], None], work: Path
) -> Iterator[Path]:
    """The folder in which the command is called in this process."""
    in_env(stub_env)
    yield work


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_creates_nothing(
    here: Path, stub: Stub, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    text, words, message = BAD[case]
    (here / "rows.csv").write_text(text)
    (here / "rows.txt").write_text(text)
    assert main(["map", *words]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert message in said.err
    assert not stub.calls() and not sessions(here)


def test_a_template_that_names_no_column_is_warned_of(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "rows.csv").write_text("a\n1\n2\n")
    assert main(["map", "Review it", "rows.csv", "--dry-run"]) == 0
    assert "the template names no column, so each row has the same" in capsys.readouterr().err
    assert main(["map", "Review {a}", "rows.csv", "--dry-run"]) == 0
    assert "names no column" not in capsys.readouterr().err


@pytest.mark.parametrize("line", ["[1]", "{", '"a"'])
def test_bad_lines_are_named(here: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    (here / "rows.jsonl").write_text(f'{{"a": 1}}\n\n{line}\n')
    assert main(["map", "{a}", "rows.jsonl"]) == 2
    assert "rows.jsonl: line 3: " in capsys.readouterr().err


def test_a_file_that_is_no_parquet_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "rows.parquet").write_text("a\n1\n")
    assert main(["map", "{a}", "rows.parquet"]) == 2
    assert "is not a Parquet file that can be read" in capsys.readouterr().err
