"""``%cpr`` and ``%%cpr`` in a real shell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testkit.stub import Stub, plan

import cpr_nb as cpr

if TYPE_CHECKING:
    from conftest import Shell

LIMIT_S = 120.0


@pytest.fixture
def file(work: Path) -> Path:
    path = work / "my prompts.json"
    path.write_text(json.dumps({"prompts": ["one", {"id": "two", "prompt": "2"}]}))
    return path


def sessions(work: Path) -> list[Path]:
    return list((work / "results").glob("session-*"))


# --- the extension ------------------------------------------------------------------------------


def test_loading_registers_and_nothing_else() -> None:
    code = """
import asyncio, sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
before, run = set(sys.modules), asyncio.run
shell.run_line_magic("load_ext", "cpr_nb")
new = {name for name in set(sys.modules) - before if not name.startswith("IPython")}
packages = {"cpr_nb", "cpr_nb.frames", "cpr_nb.launching"}
assert new == {*packages, "cpr_nb.launching.defaults", "cpr_nb.magics"}, new
assert asyncio.run is run
assert shell.find_line_magic("cpr") and shell.find_cell_magic("cpr")
shell.run_line_magic("reload_ext", "cpr_nb")
shell.run_line_magic("unload_ext", "cpr_nb")
assert not shell.find_line_magic("cpr") and not shell.find_cell_magic("cpr")
print("good")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "good\n", done.stderr


def test_its_documentation_says_how(shell: Shell) -> None:
    text = shell.ipython.find_line_magic("cpr").__doc__
    assert "%%cpr run -j 4 --worktree -o s" in text


def test_a_comment_at_the_end_is_none_of_its_arguments(shell: Shell, work: Path) -> None:
    file = work / "prompts #1.json"
    file.write_text(json.dumps({"prompts": ["one"]}))
    for line in ("list  # words", "list # don't {stop}", "list#1", "list \\# words"):
        value, _, err = shell(f"df = %cpr {line}")
        assert isinstance(value, BaseException) == ("\\" in line or "list#" in line), (line, err)
    assert shell("%cpr list;  # nothing is shown")[0] is None
    for name in ("'prompts #1.json'", '"prompts #1.json"', "prompts\\ #1.json"):
        shell.good(f"s = %cpr run {name} --fresh # it's a file")
        assert [task.prompt for task in shell["s"].wait(LIMIT_S)] == ["one"]
    shell.good("%%cpr run -o s  # two prompts\n# one\n---\ntwo # 2")
    assert [task.prompt for task in shell["s"].wait(LIMIT_S)] == ["# one", "two # 2"]


# --- launching ----------------------------------------------------------------------------------


def test_a_file_is_run_and_a_session_comes_back(shell: Shell, file: Path) -> None:
    shell.good("s = %cpr run -j 1 --permissions read --name mine 'my prompts.json'")
    session = shell["s"].wait(LIMIT_S)
    assert isinstance(session, cpr.Session)
    assert [task.prompt for task in session] == ["one", "2"]
    assert (session.name, session.max_parallel, session.head["permissions"]) == ("mine", 1, "read")
    assert cpr.attach("mine").id == session.id


def test_a_launch_says_what_it_starts_and_shows_the_session_once(shell: Shell, file: Path) -> None:
    value, out, err = shell("%cpr 'my prompts.json'")
    assert isinstance(value, cpr.Session) and err == ""
    lines = out.splitlines()
    assert lines[0] == f"🚀 Started session {value.id[:8]}"
    assert "2 tasks" in lines[1] and "permissions edits" in lines[1]
    assert out.count("<Session") == 1
    value.wait(LIMIT_S)


def test_prompts_stand_in_a_cell_and_names_are_filled(shell: Shell, stub: Stub) -> None:
    shell.good("path, n, odd = 'a b.py', 3, '{n} ---\\n---'")
    shell.good(
        "%%cpr run -j 2 --name {n} -o s\n"
        'Review {path} {n} times, as {"json": {"n": {n}}}.\n\nSay {{n}}, not {0} or {x:>3}.\n'
        "---  \n"
        "{odd}\n"
        "---\n"
        "'quoted' $HOME #3 %d\n"
        "---\n"
    )
    session = shell["s"].wait(LIMIT_S)
    assert [task.prompt for task in session] == [
        'Review a b.py 3 times, as {"json": {"n": 3}}.\n\nSay {n}, not {0} or {x:>3}.',
        "{n} ---\n---",
        "'quoted' $HOME #3 %d",
    ]
    assert session.name == "3"
    assert {call["stdin"] for call in stub.calls().values()} == {t.prompt for t in session}


def test_a_cell_may_be_json_jsonl_or_csv(shell: Shell) -> None:
    shell.good("who = 'a \"person\"'")
    cells = {
        "run": '{"prompts": ["For {who}", {"id": "b", "prompt": "two", "model": "opus"}]}',
        "--format jsonl": '{"prompt": "For {who}"}\n{"id": "b", "prompt": "two", "model": "opus"}',
        "--format=csv": "id,prompt,model\n,For {who},\nb,two,opus",
    }
    for words, body in cells.items():
        session = shell.good(f"%%cpr {words}\n{body}\n").wait(LIMIT_S)
        assert [task.prompt for task in session] == ['For a "person"', "two"], words
        assert session[1].id == "b" and session.task_spec(1)["options"] == {"model": "opus"}


def test_values_stay_one_word_of_a_line(shell: Shell, file: Path) -> None:
    shell.good("file, where = 'my prompts.json', 'other results'")
    session = shell.good("%cpr run {file} --results-dir {where}").wait(LIMIT_S)
    assert session.path.parent.name == "other results"


def test_a_dry_run_starts_nothing(shell: Shell, work: Path) -> None:
    value, out, _ = shell("%%cpr run --dry-run\nHello\n")
    assert value is None and "Loaded 1 prompts:" in out and "Hello" in out
    assert not sessions(work)


def test_a_semicolon_shows_nothing_and_the_name_is_set(shell: Shell) -> None:
    value, out, _ = shell("%%cpr run -o s;\nHello\n")
    assert value is None and "<Session" not in out
    assert shell["s"].wait(LIMIT_S)[0].ok


def test_waiting_ends_with_the_session(shell: Shell) -> None:
    value, out, _ = shell("%%cpr run --sync -o s\nHello\n")
    assert value is shell["s"] and value.state == "completed"
    assert "[1/1] ✅ Task 1" in out and out.count("1/1 succeeded") == 1


def test_retry_and_resume_return_sessions(shell: Shell, stub: Stub) -> None:
    bad = plan(result=None, exit=3, stderr="something broke")
    old = shell.good(f"%%cpr run --attempts 1\nfine\n---\n{bad}\n").wait(LIMIT_S)
    new = shell.good(f"%cpr retry {old.id[:8]} --model opus").wait(LIMIT_S)
    assert new.head["parent_session_id"] == old.id and len(new) == 1
    stub.fifos("held")
    held = cpr.launch([plan(here="held", gate="held"), "b"], max_parallel=1)
    stub.await_here("held")
    held.pause()
    held.wait_until(lambda: held.snapshot.state == "paused", LIMIT_S, "the pause")
    value, out, _ = shell(f"s = %cpr resume {held.id}")
    assert value is None and "continues" in out and shell["s"].id == held.id
    stub.release("held")
    held.wait(LIMIT_S)


# --- reading ------------------------------------------------------------------------------------


@pytest.fixture
def ended(shell: Shell) -> cpr.Session:
    return cpr.launch([{"id": "a", "prompt": "one"}, "b"], name="mine").wait(LIMIT_S)


def test_the_list_is_a_frame_and_shown_once(shell: Shell, ended: cpr.Session) -> None:
    value, out, _ = shell("%cpr list")
    assert list(value.session_id) == [ended.id]
    assert out.count(ended.id[:8]) == 1
    assert shell.good("df = %cpr --list") is None and len(shell["df"]) == 1


def test_what_is_left_of_a_table_reads_as_the_table_did(shell: Shell, ended: cpr.Session) -> None:
    formats = shell.ipython.display_formatter.format
    rest = shell.good(
        "import pandas as pd, cpr_nb\ns = cpr_nb.attach('mine')\ns.tasks_df().query('ok')"
    )
    bundle, _ = formats(rest)
    assert 'class="cpr-df"' in bundle["text/html"] and ended[1].id[:8] in bundle["text/plain"]
    assert ended.id not in bundle["text/plain"] and ended.id in repr(rest.session_id.tolist())
    own = shell.good("pd.DataFrame({'session_id': ['mine'], 'task_id': ['own']})")
    bundle, _ = formats(own)
    assert bundle["text/html"] == own._repr_html_() and "dataframe" in bundle["text/html"]
    assert bundle["text/plain"] == repr(own)


def test_sessions_results_and_logs_come_back(shell: Shell, ended: cpr.Session) -> None:
    assert shell.good("%cpr status mine").id == ended.id
    assert "Task 1 (ID: a)" in shell("s = %cpr --status mine")[1]  # no notebook: the text, too
    value, out, _ = shell("%cpr results mine")
    assert (value[0]["task_id"], value[0]["result"]) == ("a", "done")
    assert out.count("Task 1 (ID: a):") == 1 and "{" not in out
    assert len(shell.good("%cpr results mine --task a")) == 1
    value, out, _ = shell("%cpr logs mine")
    assert isinstance(value, str) and "done: success" in value
    assert out.count("[1] done: success") == 1 and "\\n" not in out


def test_json_comes_back_as_an_object(shell: Shell, ended: cpr.Session) -> None:
    assert shell.good("%cpr list --json")[0]["session_id"] == ended.id
    assert shell.good("%cpr status mine --json")["tasks"][0]["task_id"] == "a"
    assert shell.good("%cpr results mine --json")[0]["result"] == "done"
    told = shell.good("%%cpr run --json --wait\nHello\n")
    assert (told["n_tasks"], told["state"]) == (1, "completed")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("overview", "Total Sessions: 1"),
        ("doctor", "Claude Code CLI"),
        ("", "run many Claude Code tasks"),
        ("--help", "usage: cpr [FILE]"),
        ("run --help", "usage: %cpr run"),
        ("--version", f"cpr {cpr.__version__}"),
        ("cancel mine", "had already ended"),
        ("completion bash", "complete"),
    ],
)
def test_the_others_print_their_text(
    line: str, text: str, shell: Shell, ended: cpr.Session
) -> None:
    value, out, err = shell(f"%cpr {line}")
    assert value is None and text in out and err == "" and "Out[" not in out


def test_reports_of_branches_are_objects_that_read_well(shell: Shell, work: Path) -> None:
    (work / "code.py").write_text("old\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for words in (["init", "-qb", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *who, *words], cwd=work, check=True)
    edit = {"id": "a", "prompt": plan(write={"code.py": "new\n"})}
    cpr.launch([edit], worktree=True, name="mine").wait(LIMIT_S).raise_for_failures()
    report, out, _ = shell("%cpr merge mine --dry-run")
    assert report.is_dry_run and [one.branch for one in report.merged] == ["main-task-a"]
    assert "main-task-a: would be merged into main" in out and "MergeReport" not in out
    assert (work / "code.py").read_text() == "old\n"
    assert shell.good("%cpr merge mine").merged and (work / "code.py").read_text() == "new\n"
    report, out, _ = shell("%cpr clean mine")
    assert len(report.removed) == 1 and "removed" in out and "CleanReport" not in out


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%cpr run nope.json", "nope.json: can't read it: No such file"),
        ("%cpr nope.json", "nope.json: can't read it"),
        ("%cpr run", "%cpr run: no prompts: name a file"),
        ("%cpr -", "%cpr run: no prompts: name a file"),
        ("%cpr -j 3", "no prompts"),
        ("%cpr run --modle opus x.json", "unknown option '--modle'; did you mean --model"),
        ("%cpr status", "the following arguments are required: SESSION (see %cpr status --help)"),
        ("%cpr status nope", "nope"),
        ("%cpr run 'x", "No closing quotation: '…' and \"…\" must be closed"),
        ("%cpr list -o 2x", "-o: '2x' can't be a name in the notebook"),
        ("%cpr list -o class", "-o: 'class' can't be a name"),
        ("%%cpr list\nx\n", "write %cpr list on one line"),
        ("%%cpr run x.json\nx\n", "there are prompts in the cell and in x.json"),
        ("%%cpr run\n \n", "prompt 1: is empty"),
        ("%%cpr run\na\n---\n\n---\nb\n", "prompt 2: is empty"),
        ("%%cpr run\nReview {pth}.\n", "prompt 1: nothing is called {pth}: did you mean {path}?"),
        ("%%cpr run\nfine\n---\nuse {json}\n", "{json} is a module and"),
        ("%%cpr run\nuse {get_ipython}\n", "nothing is called {get_ipython}"),
        ('%%cpr run\n{"prompts": ["a"\n', "cell: is not JSON"),
        ('%%cpr run\n{"prompts": ["{nope}"]}\n', "cell: prompts[0]: nothing is called {nope}"),
        ("%%cpr run -j x\na\n", "--max-parallel"),
        ("%cpr stauts x\n", "did you mean status?"),
        ("%%cpr run --permissions root\na\n", "--permissions: invalid choice: 'root'"),
        ("%%cpr run --claude-path /nope\na\n", "/nope is not a program"),
        ("%%cpr run --name {nope}\na\n", "%cpr: nothing is called {nope}"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_started(
    cell: str, words: str, shell: Shell, work: Path, stub: Stub
) -> None:
    shell.good("import json; path = 'a.py'; kept = 1")
    error, out, err = shell(cell)
    assert type(error).__name__ == "UsageError"
    assert err.startswith("UsageError: ") and words in err and err.count("\n") == 1
    assert out == "" and "Traceback" not in err
    assert not sessions(work) and stub.calls() == {}
    assert shell["kept"] == 1 and shell.good("%cpr list") is not None


def test_a_name_is_only_set_if_all_went_well(shell: Shell) -> None:
    shell.good("s = 'mine'")
    shell("%%cpr run -o s --claude-path /nope\na\n")
    assert shell["s"] == "mine"


# --- Tab ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # a kernel calls it too
def test_tab_completes_commands_options_values_and_sessions(
    shell: Shell, ended: cpr.Session
) -> None:
    assert shell.completions("%cpr re") == ["results", "report", "resume", "retry"]
    assert "run" in shell.completions("s = %cpr ")
    assert shell.completions("%cpr run --perm") == ["--permissions"]
    assert shell.completions("%%cpr run -o s --perm") == ["--permissions"]
    assert shell.completions("%cpr --max-p") == ["--max-parallel"]
    assert "sandbox" in shell.completions("%cpr run --permissions ")
    assert shell.completions("%cpr run --permissions=sa") == ["sandbox"]
    assert shell.completions("%cpr merge mine --order f") == ["fewest-conflicts"]
    assert shell.completions(f"%cpr status {ended.id[:6]}") == [ended.id]
    assert shell.completions("df = %cpr results mi") == ["mine"]
    assert "mine" not in shell.completions("%cpr results --results-dir /nope mi")
    assert shell.completions("%cpr watch --ex") == ["--exit-code"]


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_tab_leaves_files_to_the_shell(shell: Shell, file: Path) -> None:
    assert any("my" in match for match in shell.completions("%cpr run my"))
