"""A plain client of the scripted API."""

from __future__ import annotations

import http.client
import json
from typing import Any

from cpr_nb.offline.scripted_api import ScriptedApi

LIMIT_S = 120.0  # Ends a test that hangs; no test's outcome depends on how fast it is.


def script(*steps: dict[str, Any]) -> str:
    return "Do it. SCRIPT=" + json.dumps(list(steps)) + " Thanks."


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        chunks = self.body.decode().split("\n\n")[:-1]
        return [json.loads(chunk.partition("\ndata: ")[2]) for chunk in chunks]

    @property
    def deltas(self) -> list[str]:
        return [e["delta"]["text"] for e in self.events if "text" in e.get("delta", {})]

    @property
    def text(self) -> str:
        return str(self.json["content"][0]["text"])


def user(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


ASSISTANT = {"role": "assistant", "content": [{"type": "text", "text": "said"}]}


def raw(api: ScriptedApi, method: str, path: str, body: bytes, session: str = "s") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=LIMIT_S)
    try:
        connection.request(method, path, body, {"x-claude-code-session-id": session})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def ask(
    api: ScriptedApi, *messages: dict[str, Any] | str, session: str = "s", **extra: Any
) -> Answer:
    turns = [user(message) if isinstance(message, str) else message for message in messages]
    body = json.dumps({"model": "some-model", "messages": turns, **extra}).encode()
    return raw(api, "POST", "/v1/messages?beta=true", body, session)
