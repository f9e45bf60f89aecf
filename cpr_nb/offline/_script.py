"""The scripts of `cpr_nb.offline.scripted_api`: reading them, and the answers they give."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
_NUMBER = (int, float)
_ERROR = {"type": str, "message": str, "times": int}
_STEP: Mapping[str, Any] = {
    **dict.fromkeys(("text", "thinking", "tool", "stop", "wait", "release"), str),
    **dict.fromkeys(("input", "so", "usage", "headers"), dict),
    **{"chunks": int, "delay_s": _NUMBER, "hang_s": _NUMBER, "tools": list, "notification": int},
    **{"cut": {"after": int, "times": int}, "error_event": _ERROR},
    "fail": {"status": int, "headers": dict, **_ERROR},
}
_CWD = re.compile(
    r"(?:^ - Primary working directory|^CWD|^<env>\nWorking directory): (.+?)(?: \(was /.*\))?$",
    re.MULTILINE,
)
_REMINDER = "<system-reminder>"
_NOTIFICATION = "<task-notification>"
# What a notification's text begins with: 2.1.71, 2.1.227, 2.1.280 and later.
_NOTIFIES = (_NOTIFICATION, "[SYSTEM NOTIFICATION", f"{_REMINDER}\n[SYSTEM NOTIFICATION")
# Texts that the CLI itself adds to the user's must neither start a script nor end one.
_NOT_A_PROMPT = (
    *(_REMINDER, "[structured-output-enforce]", "Output token limit hit."),
    *_NOTIFIES,
)


class ScriptError(ValueError):
    """A request can't be answered as scripted; the message says why and where."""


def _check(value: Any, spec: Any, where: str) -> None:
    """Compare a value with a type, a tuple of types, or a mapping of the keys it may have."""
    kind = dict if isinstance(spec, Mapping) else spec
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}
        shown = json.dumps(value, default=repr)[:40]
        raise ScriptError(f"{where}: expected {names.get(kind, 'a number')}, found {shown}")
    if isinstance(value, _NUMBER) and not 0 <= value <= threading.TIMEOUT_MAX:
        raise ScriptError(f"{where}: out of range: {value}")
    for key, item in value.items() if isinstance(spec, Mapping) else ():
        if key not in spec:
            raise ScriptError(f"{where}.{key}: unknown key")
        _check(item, spec[key], f"{where}.{key}")


def _checked(steps: Any, where: str) -> list[Json]:
    """Return the steps if they can be played."""
    if not isinstance(steps, list) or not steps:
        raise ScriptError(f"{where}: expected a list of steps")
    for number, step in enumerate(steps):
        _check(step, _STEP, f"{where}[{number}]")
        _check_step(step, f"{where}[{number}]")
    return steps


def _check_step(step: Json, where: str) -> None:
    """Check what the types of a step's keys do not say."""
    for call in step.get("tools", ()):
        if not isinstance(call, list) or [type(part) for part in call] != [str, dict]:
            raise ScriptError(f"{where}.tools: expected [name, input], found {call}")
    fail = step.get("fail", {})
    if "fail" in step and fail.get("status") not in {0, *range(400, 600)}:
        raise ScriptError(f"{where}.fail.status: expected 0 or 400 to 599")
    for headers in (step.get("headers", {}), fail.get("headers", {})):
        if not all(re.fullmatch("[!-~]+:[ -~]*", f"{k}:{v}") for k, v in headers.items()):
            raise ScriptError(f"{where}: not a header in {headers}")


class Book:
    """The scripts of a file, for prompts that carry none."""

    def __init__(self, data: Any) -> None:
        _check(data, {"rules": list, "default": list}, "script")
        self.rules: list[tuple[re.Pattern[str], re.Pattern[str], list[Json]]] = []
        for number, rule in enumerate(data.get("rules", [])):
            where = f"script.rules[{number}]"
            _check(rule, {"match": str, "model": str, "steps": list}, where)
            steps = _checked(rule.get("steps"), f"{where}.steps")
            try:
                patterns = re.compile(rule["match"]), re.compile(rule.get("model", ""))
            except (re.error, KeyError) as error:
                raise ScriptError(f"{where}: not a regular expression: {error}") from error
            self.rules.append((*patterns, steps))
        hello = [{"text": "Hello from the scripted API."}]
        self.default = _checked(data.get("default", hello), "script.default")

    def match(self, prompt: str, model: str) -> list[Json] | None:
        for in_prompt, in_model, steps in self.rules:
            if in_prompt.search(prompt) and in_model.search(model):
                return steps
        return None


def _carried(prompt: str) -> list[Json] | None:
    """Return the last script in a prompt; one inside the strings of another doesn't count."""
    steps, position = None, 0
    while mark := re.compile(r"\bSCRIPT=").search(prompt, position):
        where = f"SCRIPT= at character {mark.start()} of the prompt"
        try:
            value, position = json.JSONDecoder().raw_decode(prompt, mark.end())
        except json.JSONDecodeError as error:
            raise ScriptError(f"{where}: {error.msg} at character {error.pos}") from error
        steps = _checked(value, f"{where}: steps")
    return steps


def texts_of(message: Mapping[str, Any], role: str) -> list[str]:
    """Return the text blocks of a message if it has this role."""
    content = message.get("content") if message.get("role") == role else None
    if isinstance(content, str):
        return [content]
    blocks = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    return [str(block.get("text")) for block in blocks if block.get("type") == "text"]


def parsed(body: bytes) -> Json:
    """Return a request, checked as far as this module relies on its form."""
    try:
        request: Any = json.loads(body)
    except ValueError as error:
        raise ScriptError(f"the request is not JSON: {error}") from error
    _check(request, dict, "request")
    for key in ("messages", "tools"):
        _check(request.setdefault(key, []), list, key)
        for item in request[key]:
            _check(item, dict, key)
    return dict(request)


def choose(request: Json, book: Book) -> tuple[Json, int, Hashable]:
    """Return the step for a request, its index, and the place in the conversation it starts at."""
    messages: list[Json] = request["messages"]
    # A prompt that follows a failed turn joins that turn's message: its last block is the newest.
    prompts = [
        (turn, block, text)
        for turn, message in enumerate(messages)
        for block, text in enumerate(texts_of(message, "user"))
        if not text.startswith(_NOT_A_PROMPT)
    ]
    for place in reversed(prompts):
        if steps := _carried(place[2]) or book.match(place[2], str(request.get("model"))):
            break
    else:
        steps, place = book.default, prompts[-1] if prompts else (0, 0, "")
    turn, block, text = place
    index, notification = _index(steps, messages[turn:])
    # A retry repeats its messages, so the place tells it from a later turn with the same script;
    # the text tells apart the sub-agents of a conversation, which all use its id.
    return _with_cwd(steps[index], request), index, (turn, block, hash(text), notification)


def _index(steps: list[Json], messages: list[Json]) -> tuple[int, int]:
    """The index of the step that answers these messages, and the number of their notifications.

    The steps without a notification are those of notification 0, the prompt.
    """
    played = {step.get("notification", 0) for step in steps}
    notification = n_answers = 0
    for message in messages:
        n_answers += message.get("role") == "assistant"
        for _ in range(_n_notifications(message)):
            notification += 1
            if notification in played:
                n_answers = 0
    playing = max((number for number in played if number <= notification), default=min(played))
    indexes = [i for i, step in enumerate(steps) if step.get("notification", 0) == playing]
    return indexes[min(n_answers, len(indexes) - 1)], notification


def _n_notifications(message: Json) -> int:
    """How many notifications a message has that start a turn.

    One that comes during a turn is part of a tool's result, or of a message of role "system".
    """
    texts = [text for text in texts_of(message, "user") if text.startswith(_NOTIFIES)]
    return sum(_NOTIFICATION in text for text in texts)


def _with_cwd(step: Json, request: Json) -> Json:
    """Replace the placeholder in the inputs of a step's tools."""
    inputs = json.dumps({key: step[key] for key in ("input", "tools", "so") if key in step})
    placeholder = re.compile(r"(?<!\$)\{cwd\}")
    if not placeholder.search(inputs):
        return step
    folders = [match[1] for match in map(_CWD.search, _surroundings(request)) if match]
    if not folders:
        raise ScriptError("{cwd}: the request names no working directory")
    return {**step, **json.loads(placeholder.sub(lambda _: json.dumps(folders[-1])[1:-1], inputs))}


def _surroundings(request: Json) -> list[str]:
    """The texts in which the CLI may name the working directory, a change of it in a later one.

    Depending on version, model and flags it does so in the system prompt, in a message of role
    "system", or in a reminder in front of the user's words.
    """
    texts = texts_of({"role": "system", "content": request.get("system")}, "system")
    for message in request["messages"]:
        texts += texts_of(message, "system")
        texts += [text for text in texts_of(message, "user") if text.startswith(_REMINDER)]
    return texts


def failing(step: Json, attempt: int) -> Json:
    """Return the failures of a step that apply to this attempt; without "times", all apply."""
    failures = {key: step[key] for key in ("fail", "cut", "error_event") if key in step}
    return {key: fail for key, fail in failures.items() if attempt <= fail.get("times", attempt)}


def message_of(step: Json, model: object, seq: int, cached: Json) -> Json:
    """Build the complete answer, which a stream then sends piece by piece."""
    calls = [*step.get("tools", ())]
    calls += [[step["tool"], step.get("input", {})]] if "tool" in step else []
    calls += [["StructuredOutput", step["so"]]] if "so" in step else []
    content: list[Json] = []
    if "thinking" in step:
        content += [{"type": "thinking", "thinking": step["thinking"], "signature": "c2ln"}]
    if "text" in step:
        content += [{"type": "text", "text": step["text"]}]
    for number, (name, data) in enumerate(calls):
        tool_id = f"toolu_{seq:06d}_{number}"
        content += [{"type": "tool_use", "id": tool_id, "name": name, "input": data}]
    usage = {"input_tokens": 100, **cached, "output_tokens": 20, **step.get("usage", {})}
    return {
        **{"id": f"msg_{seq:08d}", "type": "message", "role": "assistant", "model": model},
        **{"content": content, "stop_sequence": None},
        "stop_reason": step.get("stop", "tool_use" if calls else "end_turn"),
        "usage": usage,
    }


def _deltas(block: Json, chunks: int) -> tuple[Json, list[Json]]:
    """Split a content block into its empty form and the pieces that complete it."""
    if block["type"] == "tool_use":
        data = json.dumps(block["input"])
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": data}]
    if block["type"] == "thinking":
        parts = ("thinking", "signature")
        deltas = [{"type": f"{part}_delta", part: block[part]} for part in parts]
        return {**block, "thinking": "", "signature": ""}, deltas
    width = max(1, math.ceil(len(block["text"]) / max(1, chunks)))
    starts = range(0, len(block["text"]), width)
    pieces = [block["text"][start : start + width] for start in starts]
    return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]


def events_of(message: Json, chunks: int) -> Iterator[Json]:
    """Yield the events of a stream that sends the message."""
    early: Json = {
        "content": [],
        "stop_reason": None,
        "usage": {**message["usage"], "output_tokens": 1},
    }
    yield {"type": "message_start", "message": {**message, **early}}
    for index, block in enumerate(message["content"]):
        empty, deltas = _deltas(block, chunks)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": message["usage"]}
    yield {"type": "message_stop"}
