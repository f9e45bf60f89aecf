"""Branches are pushed to a remote, and each gets one pull request, through a stand-in for gh."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.gh_stub import GhStub
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr

Transcript = Callable[[str], Path]
URL = "https://ada:secret@github.com/ada/shop.git"
PROMPT = "Write the docs @team, it fixes #7.\nAll of them."


@pytest.fixture
def gh(tmp_path: Path) -> GhStub:
    return GhStub(tmp_path / "gh")


@pytest.fixture
def origin(gh: GhStub, work_repo: Checkout) -> Checkout:
    """A bare repository, which git reaches by the address of one on GitHub."""
    bare = Checkout(gh.folder / "origin.git")
    work_repo.git("clone", "-q", "--bare", ".", str(bare.path))
    work_repo.git("remote", "add", "origin", URL)
    work_repo.git("config", f"url.{bare.path}.insteadOf", URL)
    work_repo.git("fetch", "-q", "origin")
    work_repo.git("branch", "-q", "--set-upstream-to=origin/main")
    return bare


@pytest.fixture
def session(
    stub_cpr: Cpr, stub: Stub, gh: GhStub, origin: Checkout, transcript: Transcript
) -> cpr.Session:
    """Two tasks changed a file each, one changed nothing; gh is on PATH."""
    docs = f"{PROMPT} {plan(write={'docs.txt': 'docs'}, result={'result': 'Closes #1 @all. ```'})}"
    tasks = [
        {"id": "docs", "prompt": docs, "check": "test -f docs.txt"},
        {"id": "code", "prompt": plan(write={"code.txt": "code"})},
        {"id": "idle", "prompt": "nothing"},
    ]
    stub_cpr.env["PATH"] = f"{gh.folder}{os.pathsep}{stub_cpr.env['PATH']}"
    session = stub_cpr.launch(prompts(*tasks), "--worktree").wait(LIMIT_S)
    assert all(task.ok for task in session)
    transcript(str(session[0].conversation_id))
    return session


# -- merge --push ---------------------------------------------------------------------------


def test_what_was_merged_is_pushed(
    stub_cpr: Cpr, session: cpr.Session, work_repo: Checkout, origin: Checkout
) -> None:
    before = origin.head
    planned = stub_cpr.good("merge", session.id, "--push", "--dry-run")
    assert "main would be pushed to origin" in planned and origin.head == before
    pushed = stub_cpr.good("merge", session.id, "--push", "--json")
    assert json.loads(pushed)["pushed"]["is_new"] is True and "secret" not in planned + pushed
    assert origin.head == work_repo.head != before
    again = stub_cpr.good("merge", session.id, "--push")
    assert "main is at origin" in again and "already" in again


def test_nothing_is_pushed_over_what_the_remote_has(
    stub_cpr: Cpr, session: cpr.Session, work_repo: Checkout, origin: Checkout, tmp_path: Path
) -> None:
    other = Checkout(tmp_path / "other")
    work_repo.git("clone", "-q", str(origin.path), str(other.path))
    tip = other.commit("theirs", {"theirs.txt": "theirs\n"})
    other.git("push", "-q")
    done = stub_cpr("merge", session.id, "--push")
    assert done.returncode == 1 and "it has commits that are not here" in done.stdout
    assert origin.head == tip and (work_repo.path / "docs.txt").exists(), "it is merged here"
    work_repo.git("pull", "-q", "--no-rebase", "--no-edit")
    assert "pushed to origin" in stub_cpr.good("merge", session.id, "--push")
    assert origin.head == work_repo.head


def test_nothing_is_pushed_if_merging_stopped(
    stub_cpr: Cpr, session: cpr.Session, work_repo: Checkout, origin: Checkout
) -> None:
    before = origin.head
    work_repo.commit("mine", {"docs.txt": "mine\n"})
    done = stub_cpr("merge", session.id, "--push")
    assert done.returncode == 1 and "was not pushed to origin" in done.stdout
    assert "merging stopped before the end" in done.stdout and origin.head == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.sshCommand", "touch {marker}"),
        ("credential.helper", "!touch {marker}"),
        ("credential.https://github.com.helper", "!touch {marker}"),
        ("remote.origin.receivepack", "touch {marker}; git-receive-pack"),
        ("protocol.ext.allow", "always"),
    ],
    ids=["ssh", "helper", "helper of a host", "receivepack", "protocol"],
)
def test_a_repository_does_not_decide_what_a_push_runs(
    stub_cpr: Cpr,
    work_repo: Checkout,
    origin: Checkout,
    stub: Stub,
    key: str,
    value: str,
    tmp_path: Path,
) -> None:
    work = plan(write={"docs.txt": "docs"})
    session = stub_cpr.launch(prompts(work), "--worktree").wait(LIMIT_S)
    marker, before = tmp_path / "ran", (origin.head, work_repo.head)
    work_repo.git("config", key, value.format(marker=marker))
    done = stub_cpr("merge", session.id, "--push")
    assert done.returncode == 2 and key.lower() in done.stderr.lower()
    assert not marker.exists() and (origin.head, work_repo.head) == before, "nor was it merged"


def test_the_words_of_a_remote_that_refuses_are_shown(
    stub_cpr: Cpr, session: cpr.Session, origin: Checkout
) -> None:
    hook = origin.path / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'a secret in docs.txt' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = stub_cpr("merge", session.id, "--push", "--task", "docs")
    assert done.returncode == 1 and "declined): a secret in docs.txt" in done.stdout
    done = stub_cpr("pr", session.id, "--task", "code")
    assert done.returncode == 1 and "declined): a secret in docs.txt" in done.stdout


def test_a_session_without_changes_is_told_from_one_that_runs(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    stub.fifos("held")
    running = stub_cpr.launch(prompts("nothing", plan(here="held", gate="held")), "--worktree")
    stub.await_here("held")
    for command in (("merge",), ("pr", "--dry-run")):
        done = stub_cpr(command[0], running.id, *command[1:])
        assert done.returncode == 2 and "changed anything yet: wait" in done.stderr
    stub.release("held")
    running.wait(LIMIT_S)
    done = stub_cpr("pr", running.id, "--dry-run")
    assert done.returncode == 2 and "that succeeded has changed anything" in done.stderr


def test_a_transport_that_is_a_program_and_hooks_do_not_run(
    stub_cpr: Cpr, session: cpr.Session, work_repo: Checkout, origin: Checkout, tmp_path: Path
) -> None:
    hook = work_repo.path / ".git/hooks/pre-push"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook\n")
    hook.chmod(0o755)
    stub_cpr.good("merge", session.id, "--push", "--task", "docs")
    assert origin.head == work_repo.head and not (tmp_path / "hook").exists()
    work_repo.git("config", "remote.origin.pushurl", f"ext::sh -c 'touch {tmp_path}/ran'")
    done = stub_cpr("merge", session.id, "--push")
    assert done.returncode == 1 and "not allowed" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_without_a_remote_nothing_is_merged(stub_cpr: Cpr, work_repo: Checkout) -> None:
    work = plan(write={"docs.txt": "docs"})
    session = stub_cpr.launch(prompts(work), "--worktree").wait(LIMIT_S)
    done = stub_cpr("merge", session.id, "--push")
    assert done.returncode == 2 and "no remote to push to" in done.stderr
    assert not (work_repo.path / "docs.txt").exists()


# -- pull requests --------------------------------------------------------------------------


def test_each_branch_gets_one_pull_request(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub, origin: Checkout, work_repo: Checkout
) -> None:
    opened = stub_cpr.good("pr", session.id[:8])
    assert "✅ main-task-docs: https://github.com/ada/shop/pull/1 into main" in opened
    assert "idle" not in opened, "it changed nothing"
    assert [one["headRefName"] for one in gh.pull_requests] == ["main-task-docs", "main-task-code"]
    for name in ("main-task-docs", "main-task-code"):
        assert origin.git("rev-parse", name) == work_repo.git("rev-parse", name)
    (first, _) = gh.calls("create")
    argv = first["argv"]
    assert argv[argv.index("--repo") + 1] == "github.com/ada/shop"
    assert argv[argv.index("--base") + 1] == "main" and "--draft" not in argv
    assert argv[argv.index("--title") + 1].startswith("Write the docs @team, it fixes #7. All of")
    assert "secret" not in opened + json.dumps(gh.calls("create")) + json.dumps(gh.calls("list"))
    again = stub_cpr.good("pr", session.id)
    assert again.count("it is open; nothing is new") == 2 and len(gh.pull_requests) == 2


def test_the_text_says_prompt_answer_checks_and_cost_and_does_nothing(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub
) -> None:
    stub_cpr.good("pr", session.id, "--task", "docs", "--draft")
    (call,) = gh.calls("create")
    body = call["stdin"]
    assert "--draft" in call["argv"]
    assert "### Prompt\n\n````text\nWrite the docs @team, it fixes #7.\nAll of them. Do" in body
    assert "### Answer\n\n````text\nCloses #1 @all. ```\n````" in body
    assert "### Checks\n\nPassed:\n\n```text\ntest -f docs.txt\n```" in body
    assert "1 file, +1 -0" in body and "USD 0.25 estimate" in body
    assert f"session {session.id[:8]}, task 1 (docs)" in body


def test_a_dry_run_shows_them_and_opens_nothing(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub, origin: Checkout, work_repo: Checkout
) -> None:
    shown = stub_cpr.good("pr", session.id, "--dry-run")
    address = "https://github.com/ada/shop.git"
    words = "would be pushed to origin ({}) and opened into main"
    # The address is where git really goes: here, the repository's configuration rewrites it.
    assert shown.count(words.format(origin.path)) == 2 and "### Answer" in shown
    rows = json.loads(stub_cpr.good("pr", session.id, "--dry-run", "--json", "--task", "docs"))
    assert rows[0]["title"].startswith("Write the docs") and rows[0]["state"] == "planned"
    assert (rows[0]["remote"], rows[0]["remote_url"]) == ("origin", str(origin.path))
    work_repo.git("config", "--unset", f"url.{origin.path}.insteadOf")
    work_repo.git("config", "--add", "remote.origin.pushurl", URL)
    work_repo.git("config", "--add", "remote.origin.pushurl", "/srv/copy.git")
    shown = stub_cpr.good("pr", session.id, "--dry-run", "--task", "docs")
    assert words.format(f"{address} and /srv/copy.git") in shown and "secret" not in shown
    assert origin.branches() == ["main"] and gh.calls("create") == []


def test_a_redacted_one_has_none_of_their_words(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub
) -> None:
    words = ("pr", session.id, "--task", "docs", "--redact")
    shown = stub_cpr.good(*words, "--dry-run")
    stub_cpr.good(*words)
    (call,) = gh.calls("create")
    title, body = call["argv"][call["argv"].index("--title") + 1], call["stdin"]
    assert title == f"Changes of session {session.id[:8]}, task 1 (docs)"
    assert "### Checks\n\nPassed.\n" in body and "USD 0.25 estimate" in body
    assert title in shown and body.strip() in shown
    for secret in ("Write the docs", "Closes", "test -f"):
        assert secret not in title + body + shown


def test_without_gh_it_is_said_and_nothing_is_pushed(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub, origin: Checkout
) -> None:
    (gh.folder / "gh").unlink()
    done = stub_cpr("pr", session.id)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert "gh, the GitHub CLI, is not on PATH: install it" in done.stderr
    assert origin.branches() == ["main"]
    shown = stub_cpr.good("pr", session.id, "--dry-run")
    assert "### Prompt" in shown and "gh, the GitHub CLI, is not on PATH" in shown


def test_what_fails_can_be_done_again(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub, origin: Checkout
) -> None:
    gh.fail("list", "To get started with GitHub CLI, please run:  gh auth login")
    done = stub_cpr("pr", session.id)
    assert done.returncode == 1 and done.stdout.count("gh auth login") == 2
    assert origin.branches() == ["main"], "nothing is pushed before gh can open anything"
    gh.fail("list", None)
    gh.fail("create", "GraphQL: Base ref must be a branch")
    done = stub_cpr("pr", session.id, "--task", "docs")
    assert done.returncode == 1 and "the branch was pushed, but gh pr create: Gra" in done.stdout
    gh.fail("create", None)
    stub_cpr.good("pr", session.id, "--task", "docs")
    assert len(gh.pull_requests) == 1


def test_a_follow_up_goes_to_the_pull_request_that_there_is(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub, origin: Checkout
) -> None:
    stub_cpr.good("pr", session.id, "--task", "docs")
    more = plan(write={"more.txt": "more"})
    output = stub_cpr.good("follow-up", session.id, more, "--task", "docs", "--json")
    newer = cpr.Session(json.loads(output)["path"]).wait(LIMIT_S)
    planned = stub_cpr.good("pr", newer.id, "--dry-run")
    assert f"it is open; what is new would be pushed to origin ({origin.path})" in planned
    assert "more.txt" not in origin.files("main-task-docs")
    assert "it is open; what is new was pushed" in stub_cpr.good("pr", newer.id)
    assert "more.txt" in origin.files("main-task-docs") and len(gh.pull_requests) == 1
    gh.pull_requests = []
    stub_cpr.good("pr", newer.id)
    body = gh.calls("create")[-1]["stdin"]
    assert gh.calls("create")[-1]["argv"][-3].startswith("Write the docs"), "the first prompt"
    assert (
        "### Follow-up\n\n```text\nDo it. STUB=" in body
        and "USD 0.50 estimate for 2 prompts" in body
    )


@pytest.mark.parametrize("state", ["MERGED", "CLOSED"])
def test_what_was_merged_or_closed_is_not_opened_again(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub, work_repo: Checkout, state: str
) -> None:
    own = work_repo.git("rev-parse", "main-task-docs")
    of_old = {"number": 3, "url": "https://old", "state": state, "isCrossRepository": False}
    before = {**of_old, "headRefName": "main-task-docs", "headRefOid": "0" * 40}
    gh.pull_requests = [{**before, "headRefOid": own}]
    told = stub_cpr.good("pr", session.id, "--task", "docs")
    assert f"https://old (it is {state.lower()})" in told and len(gh.pull_requests) == 1
    gh.pull_requests = [before]  # of another branch that once had this name
    stub_cpr.good("pr", session.id, "--task", "docs")
    assert len(gh.pull_requests) == 2


def test_a_branch_of_a_fork_is_named_with_its_owner(
    stub_cpr: Cpr, session: cpr.Session, gh: GhStub, work_repo: Checkout, origin: Checkout
) -> None:
    fork = "git@github.com:bob/shop.git"
    work_repo.git("remote", "add", "fork", fork)
    work_repo.git("config", f"url.{origin.path}.insteadOf", URL)
    work_repo.git("config", "--add", f"url.{origin.path}.insteadOf", fork)
    work_repo.git("config", "remote.pushDefault", "fork")
    stub_cpr.good("pr", session.id, "--task", "docs")
    (call,) = gh.calls("create")
    argv = call["argv"]
    assert argv[argv.index("--repo") + 1] == "github.com/ada/shop"
    assert argv[argv.index("--head") + 1] == "bob:main-task-docs"
    stub_cpr.env["GH_REPO"] = "bob/shop"
    stub_cpr.good("pr", session.id, "--task", "code")
    argv = gh.calls("create")[-1]["argv"]
    assert argv[argv.index("--repo") + 1] == "bob/shop"
    assert argv[argv.index("--head") + 1] == "main-task-code"


def test_a_remote_that_is_not_on_github_is_said(
    stub_cpr: Cpr, session: cpr.Session, work_repo: Checkout, origin: Checkout
) -> None:
    work_repo.git("remote", "set-url", "origin", str(origin.path))
    done = stub_cpr("pr", session.id)
    assert done.returncode == 2 and "set GH_REPO=OWNER/NAME" in done.stderr
