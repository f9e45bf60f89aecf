"""JUnit XML and CTRF, as the tools that CI servers use read them; and cpr run --junit."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from exchange.fixed_session import write_fixed_session
from junitparser import JUnitXml
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.exchange.exports import export_session
from cpr_nb.store.read import read_session

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "ctrf-0.0.json").read_text())
CHECKER = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
#: What the schema of Jenkins' xUnit plugin allows an element to have.
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "time", "tests", "failures", "errors", "skipped", "timestamp"},
    "testcase": {"name", "time", "classname"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "properties": set(),
    "property": {"name", "value"},
    "system-out": set(),
}


def exported(session: Path, to: str, target: Path, **how: Any) -> Path:
    return export_session(read_session(str(session)), to, target, **how)


def outcomes(path: Path) -> dict[str, str]:
    """How each task ended, by a library that reads JUnit XML; its sums are right."""
    report = JUnitXml.fromfile(str(path))
    (suite,) = report
    ended = {case.name: type(case.result[0]).__name__ if case.result else "" for case in suite}
    assert (report.tests, suite.tests) == (len(ended), len(ended))
    assert suite.failures == report.failures == list(ended.values()).count("Failure")
    assert suite.errors == report.errors == list(ended.values()).count("Error")
    assert suite.skipped == list(ended.values()).count("Skipped")
    for element in ElementTree.parse(path).iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag]
    return ended


def ctrf(path: Path) -> dict[str, Any]:
    """The results in a CTRF report, whose schema holds and whose sums are right."""
    document = json.loads(path.read_bytes())
    CHECKER.validate(document)
    results: dict[str, Any] = document["results"]
    counted = [test["status"] for test in results["tests"]]
    summary = results["summary"]
    assert summary["tests"] == len(counted)
    for status in ("passed", "failed", "skipped", "pending", "other"):
        assert summary[status] == counted.count(status)
    return results


def test_each_outcome_has_its_status(tmp_path: Path) -> None:
    session = write_fixed_session(tmp_path)
    assert outcomes(exported(session, "junit", tmp_path / "j.xml")) == {
        "again": "",
        "nested": "Failure",
        "lost": "Error",
        "odd": "",
        "skipped": "Skipped",
        "cancelled": "Error",
        "waits": "Skipped",
    }
    tests = {
        test["name"]: test for test in ctrf(exported(session, "ctrf", tmp_path / "c"))["tests"]
    }
    assert {name: test["status"] for name, test in tests.items()} == {
        "again": "passed",
        "nested": "failed",
        "lost": "failed",
        "odd": "passed",
        "skipped": "skipped",
        "cancelled": "failed",
        "waits": "pending",
    }
    assert tests["again"]["flaky"] is True and tests["again"]["retries"] == 1
    assert tests["nested"]["message"] == "check_failed: the check <1>"
    assert "duration_is_known" not in tests["waits"]["extra"]  # it never ran
    assert tests["again"]["duration"] == 19500 and tests["again"]["extra"]["cost_usd"] == 0.25


def test_an_unknown_duration_is_missing(tmp_path: Path) -> None:
    session = write_fixed_session(tmp_path)
    path = session / "status.json"
    path.write_text(path.read_text().replace('"duration_s": 19.5', '"duration_s": null', 1))
    junit = exported(session, "junit", tmp_path / "j.xml")
    suite = next(ElementTree.parse(junit).iter("testsuite"))
    times = {case.get("name"): case.get("time") for case in suite.iter("testcase")}
    assert (times["again"], times["nested"], times["waits"]) == (None, "19.500", "0.000")
    assert suite.get("time") is None
    (test, *_) = ctrf(exported(session, "ctrf", tmp_path / "c"))["tests"]
    assert test["duration"] == 0 and test["extra"]["duration_is_known"] is False


def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    document = json.loads(
        exported(write_fixed_session(tmp_path), "ctrf", tmp_path / "c").read_text()
    )
    document["results"]["tests"][0]["duration"] = 1.5
    with pytest.raises(jsonschema.ValidationError):
        CHECKER.validate(document)


# --- cpr run --junit ------------------------------------------------------------------------------


def test_junit_is_written_also_when_tasks_fail(stub_cpr: Cpr) -> None:
    tasks = prompts({"id": "good", "prompt": "a"}, {"id": "bad", "prompt": plan(exit=3)})
    ran = stub_cpr("run", "--wait", "--attempts", "1", "--junit", "out.xml", stdin=tasks)
    assert ran.returncode == 1
    assert ran.stderr.endswith("cpr: JUnit XML: out.xml\n")
    assert outcomes(stub_cpr.cwd / "out.xml") == {"good": "", "bad": "Failure"}
    again = stub_cpr("run", "--wait", "--json", "--junit", "out.xml", stdin=prompts("only"))
    assert again.returncode == 0 and json.loads(again.stdout)["n_tasks"] == 1
    assert list(outcomes(stub_cpr.cwd / "out.xml").values()) == [""]  # it was replaced


@pytest.mark.parametrize(
    ("line", "n_open"),
    [
        pytest.param(b"Started session", None, id="at-once"),  # "good" has ended, or not
        pytest.param(b"good", 1, id="in-the-wait"),
    ],
)
def test_junit_is_written_after_ctrl_c(
    stub_cpr: Cpr, stub: Stub, line: bytes, n_open: int | None
) -> None:
    tasks = prompts(
        {"id": "good", "prompt": "a"}, {"id": "held", "prompt": plan(here="held", gate="held")}
    )
    (stub_cpr.cwd / "prompts.json").write_text(tasks)
    stub.fifos("held")
    command = ("run", "prompts.json", "--wait", "-j", "1", "--junit", "out.xml")
    process = stub_cpr.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    if n_open:
        stub.await_here("held")
    while line not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "keeps running" in errors.decode()
    assert f"{n_open or ''} had not ended and count as skipped" in errors.decode()
    ended = outcomes(stub_cpr.cwd / "out.xml")
    assert ended["held"] == "Skipped" and ended["good"] in (("",) if n_open else ("", "Skipped"))
    if not n_open:
        stub.await_here("held")
    stub.release("held")
    (folder,) = (stub_cpr.cwd / "results").glob("session-*")
    cpr.Session(folder).wait(LIMIT_S)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--junit", "out.xml"], "give --wait, too", id="no-wait"),
        pytest.param(["--wait", "--junit", "no/out.xml"], "there is no folder no", id="no-folder"),
        pytest.param(["--wait", "--junit", "."], "a folder is in its place", id="folder"),
    ],
)
def test_junit_is_refused_before_anything_starts(
    stub_cpr: Cpr, stub: Stub, arguments: list[str], words: str
) -> None:
    ran = stub_cpr("run", *arguments, stdin=prompts("a"))
    assert ran.returncode == 2 and words in ran.stderr
    assert not list(stub_cpr.cwd.glob("results/session-*")) and not stub.calls()


def test_junit_does_not_overwrite_the_prompts(stub_cpr: Cpr, stub: Stub) -> None:
    path = stub_cpr.cwd / "p.json"
    path.write_text(prompts("a"))
    ran = stub_cpr("run", "p.json", "--wait", "--junit", "./p.json")
    assert ran.returncode == 2 and "has the prompts, and would be overwritten" in ran.stderr
    assert path.read_text() == prompts("a") and not stub.calls()
