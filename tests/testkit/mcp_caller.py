"""A client of ``cpr mcp`` by the official package, and prompts for stand-ins of agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from cpr_nb.cli.mcp_pages import PAGE_CHARS
from testkit.command import Cpr
from testkit.stub import plan


class Caller:
    """A client of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(self, tool: str, **arguments: Any) -> Any:
        """Calls a tool, which must work; returns its object."""
        result = await self._client.call_tool(tool, arguments)
        text = result.content[0].text  # type: ignore[union-attr]
        assert not result.is_error, text
        assert len(text) <= 2 * PAGE_CHARS  # the client's copy of it is indented
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Calls a tool, which must refuse; returns why."""
        result = await self._client.call_tool(tool, arguments)
        assert result.is_error, result.content
        return str(result.content[0].text)  # type: ignore[union-attr]

    async def text(self, tool: str, **arguments: Any) -> str:
        """Calls a tool; returns what it says, whether it worked or not."""
        result = await self._client.call_tool(tool, arguments)
        return str(result.content[0].text)  # type: ignore[union-attr]

    async def tools(self) -> list[Any]:
        return list((await self._client.list_tools()).tools)


@asynccontextmanager
async def served(caller: Cpr, *arguments: str, **variables: str) -> AsyncIterator[Caller]:
    """A server, started as a client of MCP does."""
    parameters = StdioServerParameters(
        command=caller.path,
        args=["mcp", *arguments],
        env={**caller.env, **variables},
        cwd=caller.cwd,
    )
    async with Client(stdio_client(parameters)) as client:
        yield Caller(client)


def answer(text: str, **result: Any) -> str:
    return plan(result={"result": text, **result})
