"""A scripted API that keeps what it was asked."""

from __future__ import annotations

import json
from typing import Any

from cpr_nb.offline.scripted_api import ScriptedApi

LACKING = "claude-opus-4-8"
FALLBACK = "claude-haiku-4-5-20251001"


class RecordingApi(ScriptedApi):
    """Keeps the requests in full; it does not have the model ``LACKING``."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        super().__init__()

    def _note(self, call: Any, request: Any, *details: Any) -> Any:
        self.bodies.append(request)
        if request.get("model") == LACKING:
            refusal = {"status": 404, "type": "not_found_error", "message": "no such model"}
            details = (*details[:3], lambda: {**refusal, "gate": "model"})
        return super()._note(call, request, *details)

    def texts(self, field: str, word: str) -> list[str]:
        """The field of each request that contains the word."""
        texts = [json.dumps(body.get(field, "")) for body in self.bodies]
        return [text for text in texts if word in text]
