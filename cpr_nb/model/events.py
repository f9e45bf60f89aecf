"""Reads stream-json: single lines, and the facts that the lines of one attempt add up to.

The stream is the CLI's (``--output-format stream-json``). New event types appear with every
release, lines may be torn, and an agent may have written anything into them. So nothing
here raises on any bytes, an unknown event passes through, and a number that is missing is None,
never a guess.
"""

from __future__ import annotations

from cpr_nb.model.denial_reasons import REASON_MARKS, DenialReasons, denials_of
from cpr_nb.model.json_values import integer, number, text_or_none
from cpr_nb.model.merged_result import Results
from cpr_nb.model.quick_json import make_loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# NaN and Infinity are not JSON, although Python reads them; they must not become a cost.
_loads = make_loads(lambda _name: None)

#: The model of a message that the CLI itself has written.
SYNTHETIC = "<synthetic>"
# Every line that can matter contains one of these: a runner parses no other lines.
_MARKS = (b'"result"', b'"api_retry"', b'"init"', b'"assistant"', *REASON_MARKS)

#: The four token counts: our name → name in ``modelUsage``, name in ``usage``.
TOKEN_FIELDS = {
    "input_tokens": ("inputTokens", "input_tokens"),
    "output_tokens": ("outputTokens", "output_tokens"),
    "cache_read_tokens": ("cacheReadInputTokens", "cache_read_input_tokens"),
    "cache_write_tokens": ("cacheCreationInputTokens", "cache_creation_input_tokens"),
}


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Reads one line of a stream.

    Args:
        line: The line's bytes; any bytes are allowed.

    Returns:
        The event, or None if the line is not a whole JSON object with a ``type``.

    Example:
        >>> parse_line(b'{"type": "result"}')
        {'type': 'result'}
        >>> parse_line(b'{"type": "resu') is None
        True
    """
    try:
        event = _loads(line.decode("utf-8", "replace").strip())
    except (ValueError, RecursionError):
        return None
    if isinstance(event, dict) and isinstance(event.get("type"), str):
        return event
    return None


def text_blocks(event: dict[str, Any]) -> list[str]:
    """The texts of an ``assistant`` event, without tools and thinking."""
    return [
        block["text"]
        for block in content_blocks(event)
        if block.get("type") == "text" and isinstance(block.get("text"), str)
    ]


def content_blocks(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The content blocks of an ``assistant`` or ``user`` event; a string counts as a text block."""
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list):
        return [block for block in content if isinstance(block, dict)]
    return []


class RunFacts:
    """What the stream of one attempt says, at its end or so far.

    Feed it every line. ``result`` is the result of the attempt, to which its result lines add up
    (`Results`). ``last_text`` is the last text of the task's own agent, never of a subagent.
    ``cost_usd`` and the token counts are those of *this attempt*: ``total_cost_usd`` grows over a
    resumed conversation, so the sum of ``model_usage_since_last_result`` is used where the CLI
    writes it. ``model`` is the one that the run began with, or the only one that it used;
    ``response_model`` is that of the main agent's last message. ``init`` is the last
    ``system/init`` event: model, tools, permission mode, MCP servers, source of the key. The
    denials in a result line are told why (`DenialReasons`).

    Example:
        >>> facts = RunFacts()
        >>> facts.feed(b'{"type":"result","is_error":false,"total_cost_usd":0.5}')
        >>> facts.cost_usd
        0.5
    """

    __slots__ = (
        "_counted",
        "_reasons",
        "_results",
        "answered",
        "api_retries",
        "claude_version",
        "cost_usd",
        "init",
        "last_text",
        "later_tokens",
        "model",
        "response_model",
        "shown_tokens",
        "tokens",
    )

    def __init__(self) -> None:
        self.init: dict[str, Any] | None = None
        self._results = Results()
        self.cost_usd: float | None = None
        self.tokens: dict[str, int] = {}
        self.later_tokens: dict[str, int] = {}  # since the last result line, so no result has them
        self.shown_tokens: dict[str, int] = {}  # of all messages; what they wrote is hardly in it
        self.model: str | None = None
        self.response_model: str | None = None
        self.claude_version: str | None = None
        self.api_retries = 0
        self.last_text = ""
        self.answered = False  # the API answered at least once
        # The message counted last, of each agent: its id, its tokens.
        self._counted: dict[str | None, tuple[object, dict[str, int]]] = {}
        self._reasons = DenialReasons()

    def feed(self, line: bytes) -> None:
        """Reads one line. Only lines that can matter are parsed, because the runner feeds all."""
        if any(mark in line for mark in _MARKS):
            event = parse_line(line)
            if event is not None:
                self.feed_event(event)

    @property
    def result(self) -> dict[str, Any] | None:
        """The result of the attempt, in the form of a result line; None before the first line."""
        return self._results.merged

    @property
    def trouble(self) -> dict[str, Any] | None:
        """The result line of a turn that failed after the answer."""
        return self._results.trouble

    @property
    def has_answer(self) -> bool:
        """Whether the prompt has an answer. Whatever comes later does not undo it."""
        return self._results.has_answer

    @property
    def is_cut_off(self) -> bool:
        """Whether a model answered since the last result line: figures of that are not in it."""
        return self.answered and (self.result is None or bool(self.later_tokens))

    @property
    def text(self) -> str:
        """The last text that a result line has; without any, the agent's last text."""
        text = self.result.get("result") if self.result else None
        return text if isinstance(text, str) and text.strip() else self.last_text

    @property
    def n_denials(self) -> int:
        """The number of tool calls that the permissions refused."""
        return len(denials_of(self.result))

    def count_transcript(self, answers: Mapping[str, dict[str, int]]) -> None:
        """Adds what no result line has to the tokens, of an attempt that was killed.

        Args:
            answers: The tokens of each answer of the whole attempt in its transcript, by the
                answer's id; empty if that can't be read.
        """
        tokens: dict[str, int] = {}
        for counts in answers.values():
            _add_counts(tokens, counts)
        if self.result is None:
            if answers:
                self.tokens = tokens
                self._add_unwritten(answers)
            return
        for name, later in self.later_tokens.items():  # the result also has those of no transcript
            streamed = self.tokens.get(name, 0) + later
            self.tokens[name] = max(streamed, tokens.get(name, 0))

    def _add_unwritten(self, answers: Mapping[str, dict[str, int]]) -> None:
        """Adds an agent's last answer if the CLI was killed before its transcript had it."""
        for message_id, counts in self._counted.values():
            if str(message_id) not in answers:
                _add_counts(self.tokens, counts)

    def feed_event(self, event: dict[str, Any]) -> None:
        """Reads one event, for callers that have parsed its line already."""
        kind, subtype = event["type"], event.get("subtype")
        if kind == "result":
            self._reasons.explain(event)
            self._add_result(event)
        elif kind == "user" or subtype == "permission_denied":
            self._reasons.feed(event)
        elif kind == "assistant":
            self._add_message(event)
        elif kind == "system" and subtype == "api_retry":
            self.api_retries += 1
        elif kind == "system" and subtype == "init":
            self.init = event
            self.model = text_or_none(event.get("model"))
            self.claude_version = text_or_none(event.get("claude_code_version"))

    def _add_message(self, event: dict[str, Any]) -> None:
        message, agent = event.get("message"), text_or_none(event.get("parent_tool_use_id"))
        is_model = isinstance(message, dict) and message.get("model") != SYNTHETIC
        # The CLI's own words count as long as no model has answered, such as those of a command.
        if agent is None and (is_model or not self.answered):
            self.last_text = "\n".join(text_blocks(event)) or self.last_text
        if isinstance(message, dict) and is_model:
            self.answered = True
            if agent is None:
                self.response_model = text_or_none(message.get("model"))
            self._count_usage(message, agent)

    def _count_usage(self, message: dict[str, Any], agent: str | None) -> None:
        """Counts a message's usage: the only figures of a turn without a result.

        It is in each of the message's events, and counts once. The events of an agent's messages
        follow each other; those of subagents come between them.
        """
        message_id = message.get("id")
        if message_id != self._counted.get(agent, (None, {}))[0]:
            counts = usage_tokens(message.get("usage"))
            self._counted[agent] = message_id, counts
            _add_counts(self.tokens if self.result is None else self.later_tokens, counts)
            _add_counts(self.shown_tokens, counts)

    def _add_result(self, result: dict[str, Any]) -> None:
        since_last = result.get("model_usage_since_last_result")
        is_first = self.result is None
        self._results.add(result)
        self.later_tokens = {}
        if is_first:
            self.tokens = {}  # the result is more exact than the messages before it
        is_partial = isinstance(since_last, dict)
        figures = since_last if is_partial else result.get("modelUsage")
        by_model = figures if isinstance(figures, dict) else {}
        if len(by_model) == 1:
            self.model = next(iter(by_model))
        models, adds = list(by_model.values()), is_partial and not is_first
        total = number(result.get("total_cost_usd"))
        cost = _sum(models, "costUSD", number) if is_partial else total
        self.cost_usd = _added(self.cost_usd, cost) if adds else cost
        counts = _result_tokens(result, models, is_full=bool(models) or since_last == {})
        for name, count in counts.items():
            self._set_tokens(name, _added(self.tokens.get(name), count) if adds else count)

    def _set_tokens(self, name: str, count: float | None) -> None:
        if count is not None:
            self.tokens[name] = int(count)
        else:
            self.tokens.pop(name, None)


def _result_tokens(
    result: dict[str, Any], models: list[Any], *, is_full: bool
) -> dict[str, float | None]:
    """The token counts of a result: by model where it has them, for usage lacks the last request.

    Args:
        result: The result line.
        models: Its figures of each model.
        is_full: Whether it has figures by model, even if there are none.
    """
    if is_full:
        return {name: _sum(models, key, integer) for name, (key, _) in TOKEN_FIELDS.items()}
    usage = usage_tokens(result.get("usage"))
    return {name: usage.get(name) for name in TOKEN_FIELDS}


def total_tokens(result: dict[str, Any]) -> dict[str, int]:
    """The token counts in the totals of a result line, by our names."""
    by_model = result.get("modelUsage")
    models = list(by_model.values()) if isinstance(by_model, dict) else []
    counts = _result_tokens(result, models, is_full=bool(models))
    return {name: int(count) for name, count in counts.items() if count is not None}


def usage_tokens(usage: object) -> dict[str, int]:
    """The token counts of one message's ``usage``, by our names.

    Example:
        >>> usage_tokens({"input_tokens": 3, "service_tier": "standard"})
        {'input_tokens': 3}
    """
    counts = {}
    for name, (_, key) in TOKEN_FIELDS.items():
        count = integer(usage.get(key)) if isinstance(usage, dict) else None
        if count is not None:
            counts[name] = count
    return counts


def _add_counts(total: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        total[name] = total.get(name, 0) + count


def _added(before: float | None, cost: float | None) -> float | None:
    return None if before is None or cost is None else before + cost


def _sum(models: list[Any], key: str, read: Callable[[object], float | None]) -> float | None:
    """The sum of one figure over the models; None if one of them lacks it."""
    total = 0.0
    for figures in models:
        figure = read(figures.get(key)) if isinstance(figures, dict) else None
        if figure is None:
            return None
        total += figure
    return total
