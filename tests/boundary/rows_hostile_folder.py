"""A results directory that a stranger made, through every interface and command."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from testkit.comparison import everything_is_kept

import cpr_nb as cpr
from boundary.hostile import ANSWER, ENDED, INTERRUPTED, LIVE, NAMES, HostileFolder
from boundary.interfaces import (
    REFUSED,
    Use,
    command,
    completion,
    magic,
    notebook,
    python,
    tab,
)
from boundary.place import Place
from boundary.table import Row
from cpr_nb.handles.buttons import on_click

ATTACK = "a sent results directory"
FOREIGN = "foreign"


def looks(name: str, use: Use, *shows: str, slow: bool = False) -> Row:
    """An interface that only looks: it shows what is there, and that is all."""

    def carry_out(place: Place) -> None:
        HostileFolder(place)
        text = use(place)
        for words in shows:
            place.expect(words in text, f"{words!r} is not in {text!r}")
        place.expect(not text.startswith(REFUSED), text)

    return Row(ATTACK, name, carry_out, slow=slow)


def acts(name: str, use: Use, told: str = FOREIGN, *, refused: bool = True) -> Row:
    """An interface that runs, changes or deletes: it refuses, or leaves the session alone."""

    def carry_out(place: Place) -> None:
        HostileFolder(place)
        text = use(place)
        place.expect(told in text, f"{told!r} is not in {text!r}")
        place.expect(text.startswith(REFUSED) or not refused, f"not refused: {text!r}")

    return Row(ATTACK, name, carry_out)


def session(function: Callable[[cpr.Session], Any], session_id: str = ENDED) -> Use:
    """The handle on one of the sessions."""
    return python(lambda _: function(cpr.attach(session_id)))


def button(verb: str, session_id: str, task_id: str = "") -> Use:
    """A click on a button of the live view, which shows a refusal as a bad result."""

    def click(place: Place) -> str:
        root = str(place.results / f"session-{session_id}")
        result = on_click(cpr.Session, root, verb, task_id)
        return f"{REFUSED if result.bad else ''}{result}"

    return python(click)


def of_rows(function: Callable[[Any], Any]) -> Use:
    """A table of the tasks as a command."""
    import cpr_nb.pandas  # noqa: F401

    return session(lambda s: function(s.tasks_df()))


def _on_terminal(*args: str) -> Use:
    """The command at a terminal where a person only presses Enter."""

    def use(place: Place) -> str:
        with place.command(place.stub_env()).on_terminal(*args) as terminal:
            terminal.press("\n")
            code = terminal.finish()
            return (REFUSED if code else "") + terminal.text

    return use


_NAME = NAMES[ENDED]
_COMMANDS = [
    looks("cpr list", command("list"), *NAMES.values()),
    looks("cpr list --json", command("list", "--json"), *NAMES.values()),
    looks("cpr overview", command("overview"), "Total Sessions: 3"),
    looks("cpr status", command("status", ENDED), _NAME, "whole", "halved"),
    looks("cpr status, interrupted", command("status", INTERRUPTED), NAMES[INTERRUPTED]),
    looks("cpr status, live", command("status", LIVE), NAMES[LIVE]),
    looks("cpr status --json", command("status", "--json", ENDED), _NAME),
    looks("cpr results", command("results", ENDED), ANSWER),
    looks("cpr results --json", command("results", "--json", ENDED), ANSWER),
    looks("cpr report", command("report", ENDED, "-o", "-"), ANSWER, "launched by somebody else"),
    looks("cpr logs", command("logs", ENDED), "[4]"),
    looks("cpr diff", command("diff", ENDED), "no task has changed"),
    looks("cpr watch", command("watch", ENDED), "whole"),
    looks("cpr answer", command("answer", ENDED), "nobody asks anything"),
    looks("cpr doctor", command("doctor"), "results directory"),
    # Its answers are data, like rows of a file: the options of the new session are the user's.
    looks("cpr map --after", command("map", "{path}", "--after", ENDED, "-o", "-"), "succeeded"),
    looks("completion of a shell", completion("cpr status e000"), ENDED),
    looks("cpr clean --dry-run", command("clean", "--dry-run"), FOREIGN),
]
_COMMANDS_THAT_ACT = [
    acts("cpr clean", command("clean"), refused=False),
    acts("cpr clean SESSION", command("clean", ENDED)),
    acts(
        "cpr clean SESSION --task",
        command("clean", ENDED, "--task", "whole", "--task", "halved"),
    ),
    acts("cpr clean SESSION --dry-run", command("clean", ENDED, "--dry-run"), refused=False),
    acts("cpr merge", command("merge", ENDED)),
    acts("cpr merge --dry-run", command("merge", ENDED, "--dry-run")),
    acts("cpr merge --push", command("merge", ENDED, "--push")),
    acts("cpr pr", command("pr", ENDED)),
    acts("cpr pr --dry-run", command("pr", ENDED, "--dry-run")),
    acts("cpr resume", command("resume", INTERRUPTED)),
    acts("cpr resume --skipped", command("resume", "--skipped", ENDED)),
    acts("cpr resume --all", command("resume", "--all"), refused=False),
    acts("cpr retry", command("retry", ENDED)),
    acts("cpr retry --all-tasks", command("retry", "--all-tasks", ENDED)),
    acts("cpr follow-up", command("follow-up", ENDED, "Go on.")),
    acts("cpr follow-up --task", command("follow-up", ENDED, "Go on.", "--task", "whole")),
    acts("cpr cancel, interrupted", command("cancel", INTERRUPTED)),
    acts("cpr cancel --task", command("cancel", INTERRUPTED, "--task", "skipped")),
    acts("cpr cancel, live", command("cancel", "--no-wait", LIVE), LIVE),
    acts("cpr pause, live", command("pause", LIVE), LIVE),
    acts("cpr set, live", command("set", LIVE, "max-parallel=9"), LIVE),
]
_LIBRARY = [
    looks("cpr.attach", python(lambda _: repr(cpr.attach(_NAME))), "e0000000"),
    looks("Session as a card", session(lambda s: s._repr_html_()), "whole"),
    looks("Task as a card", session(lambda s: s[0]._repr_html_()), ANSWER),
    looks("Task.result", session(lambda s: s[0].result()), ANSWER),
    looks("Task.events", session(lambda s: list(s[0].events())), ANSWER),
    looks("Session.report", session(lambda s: s.report().html), ANSWER, "launched by somebody"),
    looks("Session.timeline", session(lambda s: s.timeline().svg), "<svg"),
    looks("Session.cost_chart", session(lambda s: s.cost_chart().svg), "<svg"),
    looks("Session.wait", session(lambda s: s.wait(1).state), "completed"),
    looks("Session.worktrees_df", session(lambda s: s.worktrees_df().to_csv()), "task-whole"),
    looks("Session.results_df", session(lambda s: s.results_df().to_csv()), ANSWER),
    looks("Session.summary", session(lambda s: s.summary().to_csv()), "0.25"),
    looks("Session.tasks_df", session(lambda s: s.tasks_df().to_csv()), "halved"),
    looks("Session.sessions_df", session(lambda s: s.sessions_df().to_csv()), _NAME),
    looks("cpr.sessions_df", python(lambda _: cpr.sessions_df().to_csv()), *NAMES.values()),
    looks("cpr.tasks_df", python(lambda _: cpr.tasks_df().to_csv()), "halved"),
    looks("cpr.events_df", python(lambda _: cpr.events_df().to_csv()), "halved"),
    looks("cpr.usage_df", python(lambda _: cpr.usage_df().to_csv())),
    looks("cpr.tool_calls_df", python(lambda _: cpr.tool_calls_df().to_csv())),
    looks("cpr.denials_df", python(lambda _: cpr.denials_df().to_csv())),
    looks("cpr.dashboard", python(lambda _: repr(cpr.dashboard())), _NAME),
]
_LIBRARY_THAT_ACTS = [
    acts("Session.clean", session(lambda s: s.clean())),
    acts("Session.clean of tasks", session(lambda s: s.clean(["whole", "halved"]))),
    acts("Session.merge", session(lambda s: s.merge())),
    acts("Session.conflicts_df", session(lambda s: s.conflicts_df())),
    acts("Session.resume", session(lambda s: s.resume(), INTERRUPTED)),
    acts("Session.resume of skipped", session(lambda s: s.resume(skipped=True))),
    acts("Session.retry", session(lambda s: s.retry())),
    acts("Session.cancel", session(lambda s: s.cancel(), INTERRUPTED)),
    acts("Session.cancel, live", session(lambda s: s.cancel(), LIVE), LIVE),
    acts("Session.pause, live", session(lambda s: s.pause(), LIVE), LIVE),
    acts(
        "Session.max_parallel, live", session(lambda s: setattr(s, "max_parallel", 9), LIVE), LIVE
    ),
    acts("Task.cancel", session(lambda s: s.task("skipped").cancel(), INTERRUPTED)),
    acts("Task.follow_up", session(lambda s: s[0].follow_up("Go on."))),
    acts("df.cpr.retry", of_rows(lambda df: df.cpr.retry())),
    acts("df.cpr.follow_up", of_rows(lambda df: df.iloc[:1].cpr.follow_up("Go on."))),
    acts("df.cpr.merge", of_rows(lambda df: df.iloc[:1].cpr.merge())),
    acts("button resume", button("resume", INTERRUPTED)),
    acts("button retry", button("retry", ENDED)),
    acts("button cancel", button("cancel", INTERRUPTED)),
    acts("button pause, live", button("pause", LIVE), LIVE),
]
_NOTEBOOK = [
    looks("%cpr list", magic("list"), ENDED),
    looks("%cpr status", magic(f"status {ENDED}"), "whole"),
    looks("%cpr results", magic(f"results {ENDED}"), ANSWER),
    looks("%cpr logs", magic(f"logs {ENDED}"), "[4]"),
    looks("%cpr clean --dry-run", magic("clean --dry-run")),
    looks("Tab after %cpr", tab("%cpr status e000"), ENDED),
    acts("%cpr clean", magic(f"clean {ENDED} --task whole --task halved")),
    acts("%cpr merge", magic(f"merge {ENDED}")),
    acts("%cpr resume", magic(f"resume {INTERRUPTED}")),
    acts("%cpr resume --all", magic("resume --all"), refused=False),
    acts("%cpr retry", magic(f"retry {ENDED}")),
    acts("%cpr cancel", magic(f"cancel {INTERRUPTED}")),
    looks(
        "live view and dashboard in a kernel",
        notebook(f"s = cpr.attach('{LIVE}')\ns", "s.show()", "cpr.dashboard()", "%cpr watch"),
        NAMES[LIVE],
        slow=True,
    ),
]
_AT_A_TERMINAL = [
    acts(f"cpr {args[0]} at a terminal, Enter", _on_terminal(*args))
    for args in (("resume", INTERRUPTED), ("retry", ENDED), ("clean", ENDED))
]


def linked_cache(place: Place) -> None:
    """The folder of caches leads to one of the user's, with the names of such files in it."""
    folder = HostileFolder(place)
    for session_id in NAMES:
        os.utime(folder.path(session_id) / "status.json", (1, 1))  # it can be kept
    names = ("heads", "tasks-1", "sessions-1", ".new-1")
    victim = place.victim("elsewhere", dict.fromkeys(names, "precious\n"))
    (place.results / ".cache").symlink_to(victim)
    with place.inside(place.stub_env()), everything_is_kept():
        for table in (cpr.sessions_df, cpr.tasks_df, cpr.events_df, cpr.usage_df):
            place.expect(len(table()), f"{table.__name__} is empty")


def linked_report(place: Place) -> None:
    """Where a report would be written, a link leads to a file of the user's."""
    HostileFolder(place)
    victim = place.victim("elsewhere", {"file": "precious\n"})
    (place.work / f"report-{ENDED[:8]}.html").symlink_to(victim / "file")
    text = command("report", ENDED)(place)
    place.expect(text.startswith(REFUSED) and "it is a link" in text, text)


ROWS = [
    Row(ATTACK, "cpr report, its file is a link", linked_report),
    Row(ATTACK, "tables, `.cache` is a link", linked_cache),
    *_COMMANDS,
    *_COMMANDS_THAT_ACT,
    *_LIBRARY,
    *_LIBRARY_THAT_ACTS,
    *_NOTEBOOK,
    *_AT_A_TERMINAL,
]
