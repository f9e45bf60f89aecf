"""The five tasks of ``cpr demo``, and what the scripted API answers to them."""

from __future__ import annotations

from typing import Any

#: Asked of the fourth task.
SCHEMA = {
    "type": "object",
    "properties": {
        "severity": {"type": "string", "enum": ["low", "medium", "high"]},
        "bugs": {"type": "integer"},
    },
    "required": ["severity", "bugs"],
}

#: The tasks, as a prompts file would have them.
PROMPTS: list[Any] = [
    {"id": "plain", "prompt": "Say hello in one sentence."},
    {
        "id": "edits",
        "prompt": "Write hello.py, change its greeting, and run it.",
        "allow": ["Bash(python3:*)"],
    },
    {"id": "limited", "prompt": "Answer although the API is busy at first."},
    {"id": "structured", "prompt": "Rate the bugs in parser.py.", "schema": SCHEMA},
    {"id": "fails", "prompt": "Ask for what the API refuses."},
]
#: How each must end: its id → (outcome, reason).
EXPECTED = {
    "plain": ("succeeded", "completed"),
    "edits": ("succeeded", "completed"),
    "limited": ("succeeded", "completed"),
    "structured": ("succeeded", "completed"),
    "fails": ("failed", "api_error"),
}
GREETING = "Hello, parallel world"

_HELLO = "{cwd}/hello.py"
_STEPS: dict[str, list[dict[str, Any]]] = {
    "Say hello": [{"text": "Hello! I am the real Claude Code CLI with a scripted API behind me."}],
    "Write hello.py": [
        {"tool": "Write", "input": {"file_path": _HELLO, "content": "print('Hello')\n"}},
        {
            "tool": "Edit",
            "input": {"file_path": _HELLO, "old_string": "'Hello'", "new_string": f"'{GREETING}'"},
        },
        {
            "tool": "Bash",
            "input": {"command": "python3 hello.py", "description": "Run the program"},
        },
        {"text": f"hello.py now prints {GREETING!r}."},
    ],
    "Answer although": [
        {
            "fail": {"status": 429, "times": 2, "message": "too many requests"},
            "text": "The API was busy twice; the CLI waited and asked again.",
        }
    ],
    "Rate the bugs": [{"so": {"severity": "high", "bugs": 2}}, {"text": "Two bugs."}],
    "Ask for what": [{"fail": {"status": 400, "message": "refused on purpose, by the demo"}}],
}
#: What the scripted API plays.
SCRIPT = {"rules": [{"match": match, "steps": steps} for match, steps in _STEPS.items()]}
