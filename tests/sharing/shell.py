"""What commands, agents in the background and wake-ups leave to the next task."""

from __future__ import annotations

import json

from testkit.served import Line

from sharing.bench import ALL_TOOLS, Bench, Cells, bash, init_of, is_alive, outputs, says

_SET = "mkdir -p sub; cd sub; a=x; export b=x; f() { :; }; umask 027; ulimit -n 77"
_SHOW = "pwd; echo $a $b; type f; umask; ulimit -n"
_JOB = "echo $$ > {name}.pid; until [ -e go ]; do sleep 0.05; done"


def shell_state(bench: Bench) -> Cells:
    """A folder, variables, a function, umask and ulimit of the Bash tool; and what was said."""
    with bench.serve(ALL_TOOLS) as served:
        before = outputs(served.ask(says(bash(_SHOW))))
        served.clear()
        shown = outputs(served.ask("CANARY " + says(bash(_SET), bash(_SHOW))))[-1]
        assert "/sub" in shown, "the folder stays within a task"
        served.clear()
        n_asked = len(bench.api.bodies)
        after = outputs(served.ask(says(bash(_SHOW))))
        spoken = "CANARY" in bench.asked_since(n_asked)
    return {
        "the conversation": "in the next one" if spoken else "gone",
        "Bash: folder, variables, functions, umask, ulimit": "gone" if after == before else "stay",
    }


def background_command(bench: Bench) -> Cells:
    """A command in the background that ends in the next task, and one with a session of its own."""
    job = bash(_JOB.format(name="job"), run_in_background=True)
    apart = bash(f"setsid sh -c '{_JOB.format(name='apart')}' > /dev/null 2>&1 &")
    with bench.serve(ALL_TOOLS) as served:
        served.ask(says(apart, job))
        served.clear()
        alive = {name: is_alive(bench.work / f"{name}.pid") for name in ("job", "apart")}
        following = served.ask("Hello.")[-1]["session_id"]
        (bench.work / "go").touch()
        reports = "says nothing"
        if alive["job"]:
            told = served.read_until(lambda line: line.get("subtype") == "task_notification")[-1]
            reports = "speaks into the next task" if told["session_id"] == following else "apart"
    return {
        "Bash in the background": f"lives on, {reports}" if alive["job"] else "ended",
        "`setsid … &`": "lives on" if alive["apart"] else "ended",
    }


def background_agent(bench: Bench) -> Cells:
    """An agent in the background that goes on while the next task runs."""
    its_prompt = says({"text": "AGENTSPEAKS", "wait": "agent"})
    call = {"description": "help", "prompt": its_prompt, "subagent_type": "general-purpose"}
    with bench.serve(ALL_TOOLS) as served:
        served.ask(says({"tool": "Agent", "input": {**call, "run_in_background": True}}))
        served.clear()
        following = served.ask("Hello.")[-1]["session_id"]
        bench.api.release("agent")
        told = served.read_until(lambda line: "AGENTSPEAKS" in json.dumps(line))[-1]
    speaks = told["session_id"] == following
    return {"an agent in the background": "speaks into the next task" if speaks else "apart"}


def worktree(bench: Bench) -> Cells:
    """EnterWorktree."""
    bench.make_repository()
    with bench.serve(ALL_TOOLS) as served:
        served.ask(says({"tool": "EnterWorktree", "input": {"name": "elsewhere"}}))
        shown = init_of(served.clear())["cwd"]
        stands = outputs(served.ask(says(bash("pwd"))))[-1].strip()
    if stands == str(bench.work):
        return {"EnterWorktree": "gone"}
    seen = ", `init` shows it" if shown == stands else ""
    return {"EnterWorktree": f"the next task stands in it{seen}"}


def cron(bench: Bench) -> Cells:
    """CronCreate: what it has planned for the next minute."""
    planned = {"cron": "* * * * *", "prompt": says() + " CRONFIRED", "recurring": False}
    return {"CronCreate": _fires(bench, "CronCreate", planned, "CRONFIRED")}


def wake_up(bench: Bench) -> Cells:
    """ScheduleWakeup: a prompt in a minute."""
    planned = {"delaySeconds": 60, "reason": "later", "prompt": says() + " WAKEFIRED"}
    return {"ScheduleWakeup": _fires(bench, "ScheduleWakeup", planned, "WAKEFIRED")}


def _fires(bench: Bench, tool: str, planned: dict[str, object], word: str) -> str:
    with bench.serve(ALL_TOOLS) as served:
        first = served.ask(says({"tool": tool, "input": planned}))
        words = outputs(first)[-1]
        if "cheduled" not in words or "not scheduled" in words:
            return "plans nothing"
        following = init_of(served.clear())["session_id"]
        served.ask("Hello.")

        def ends(line: Line) -> bool:
            return line["type"] == "result"

        fired = served.read_until(ends)[-1]["session_id"]
        assert bench.api.texts("messages", word)
        return "fires in the next task" if fired == following else "apart"
