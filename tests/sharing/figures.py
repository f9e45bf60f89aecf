"""Which figures and limits are those of one task, and what a served prompt looks like."""

from __future__ import annotations

import json

from testkit.command import script
from testkit.served import Line

from sharing.bench import ALL_TOOLS, Bench, Cells, bash, init_of

_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
_PER_TASK = "per task"


def limits(bench: Bench) -> Cells:
    """A task over each limit, and one after it."""
    failing = script({"fail": {"status": 400}})
    with bench.serve("--max-turns", "2", "--max-budget-usd", "1", ALL_TOOLS) as served:
        endless = served.ask(script(bash("true")))[-1]
        assert endless["subtype"] == "error_max_turns"
        served.clear()
        first = served.ask("Hello.")[-1]
        served.clear()
        usage = {"input_tokens": 1_000_000}
        dear = served.ask(script({**bash("true"), "usage": usage}, {"text": "done"}))[-1]
        assert dear["subtype"] == "error_max_budget_usd"
        served.clear()
        second = served.ask("Hello.")[-1]
        served.clear()
        assert served.ask(failing)[-1]["is_error"]
        served.clear()
        third = served.ask("Hello.")[-1]
    later = [_is_good(one) for one in (first, second, third)]
    same = first["num_turns"] == second["num_turns"] == third["num_turns"] == 1
    return {
        "max turns": _PER_TASK if later[0] and same else "the next task fails",
        "max budget, cost": _PER_TASK
        if later[1] and second["total_cost_usd"] <= first["total_cost_usd"]
        else "of the whole process",
        "a request that the API refuses": _PER_TASK if later[2] else "the next task fails",
    }


def _is_good(result: Line) -> bool:
    return result["subtype"] == "success" and not result["is_error"]


def answers(bench: Bench) -> Cells:
    """The structure of a schema, and what was denied."""
    refused = bash("curl -s http://127.0.0.1:9")
    with bench.serve("--json-schema", json.dumps(_SCHEMA)) as served:
        results = []
        for number in (1, 2):
            steps = ([refused] if number == 1 else []) + [{"so": {"n": number}}, {"text": "done"}]
            results.append(served.ask(script(*steps))[-1])
            served.clear()
    assert len(results[0]["permission_denials"]) == 1
    numbers = [result["structured_output"]["n"] for result in results]
    return {
        "schema": _PER_TASK if numbers == [1, 2] else "of the whole process",
        "denials": "of the whole process" if results[1]["permission_denials"] else _PER_TASK,
    }


def prompts(bench: Bench) -> Cells:
    """What stands before a served prompt, what is said at its start, and the prompt cache."""
    with bench.serve() as served:
        inits = []
        for words in ("First prompt.", "Another one."):
            inits.append(init_of(served.ask(words)))
            served.clear()
    first, second = [record for record in bench.api.requests if record.step >= 0]
    added = [block for block in second.last_user_blocks if "command" in block[:20]]
    differ = sorted(name for name in inits[0] if inits[0][name] != inits[1].get(name))
    assert first.cache_write_tokens
    return {
        "text of `/clear` before each prompt": f"{sum(map(len, added))} characters",
        "what differs in `init`": ", ".join(differ),
        "prompt cache of another prompt": "read" if second.cache_read_tokens else "not read",
    }
