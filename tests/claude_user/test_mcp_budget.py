"""What the sessions of one conversation may cost together, where one of them has no limit."""

from __future__ import annotations

import json

import anyio
from testkit.command import Cpr
from testkit.mcp_caller import answer, served
from testkit.stub import Stub, plan


def test_nothing_is_left_beside_a_session_that_may_cost_anything(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("a")
    stub_cpr.env["CLAUDE_CODE_SESSION_ID"] = "talk"

    async def talk() -> None:
        async with served(stub_cpr) as call:
            held = await call("launch", prompts=[plan(gate="a", here="a")])
            stub.await_here("a")
        async with served(stub_cpr, "--budget-usd", "0.6") as call:
            why = await call.refused("launch", prompts=[answer("2")])
            assert "one without a budget_usd leaves nothing: wait for it or cancel it" in why
            shown = json.loads(stub_cpr.good("mcp", "--dry-run", "--json", "--budget-usd", "0.6"))
            assert shown["left_usd"] == 0
            stub.release("a")
            await call("wait", session=held["session_id"])
            assert (await call("launch", prompts=[answer("2")]))["budget_usd"] == 0.35
            await call("wait")

    anyio.run(talk)
