"""The steps of ATIF trajectories as lines of the CLI's stream."""

from __future__ import annotations

from typing import Any

from cpr_nb.model.events import SYNTHETIC, TOKEN_FIELDS
from cpr_nb.model.json_values import integer, text_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Subagents of subagents, and so on: nobody goes deeper.
_DEEPEST = 20


def trajectory_events(parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lines of the stream that a task might have had.

    Args:
        parts: A trajectory, and those that continue it.

    Example:
        >>> step = {"source": "agent", "message": "Hi"}
        >>> [event["type"] for event in trajectory_events([{"steps": [step], "agent": {}}])]
        ['system', 'assistant', 'result']
    """
    agent = parts[0]["agent"]
    model = text_or_none(agent.get("model_name"))
    yield {"type": "system", "subtype": "init", "model": model, "tools": []}
    totals: dict[str, int | None] = dict.fromkeys(TOKEN_FIELDS, 0)
    n_turns = n_messages = 0
    is_first = True
    for part in parts:
        default = text_or_none(part["agent"].get("model_name"))
        steps = [step for step in part["steps"] if not step.get("is_copied_context")]
        for step in steps:
            if step["source"] == "user" and is_first:
                is_first = False  # the prompt, of which a stream has no line
                continue
            for event in _step_events(step, part, default, None, 0):
                _add(totals, event)
                n_messages += event["type"] == "assistant"
                n_turns += event["type"] == "assistant" and not event["parent_tool_use_id"]
                yield event
    steps = [step for part in parts for step in part["steps"]]
    answer = answer_of(steps)
    metrics = parts[-1].get("final_metrics")
    yield {
        "type": "result",
        "subtype": "success",
        "is_error": bool(steps) and _is_no_model(steps[-1]),
        "result": answer or "",
        "num_turns": n_turns,
        "total_cost_usd": metrics.get("total_cost_usd") if isinstance(metrics, dict) else None,
        "usage": _usage({name: n for name, n in totals.items() if n is not None and n_messages}),
    }


def answer_of(steps: list[dict[str, Any]]) -> str | None:
    """What the agent said in its last step; None if it called a tool there, or said nothing."""
    last = steps[-1] if steps else {}
    if last.get("source") != "agent" or last.get("tool_calls"):
        return None
    return content_text(last["message"]) or None


def content_text(content: Any) -> str:
    r"""A message or a result as text; what is no text is named in brackets.

    Example:
        >>> content_text([{"type": "text", "text": "See"}, {"type": "image", "source": {}}])
        'See\n[image]'
    """
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = [part for part in content if isinstance(part, dict)]
    return "\n".join(
        str(part.get("text", "")) if part.get("type") == "text" else f"[{part.get('type')}]"
        for part in parts
    )


def known_tokens(tokens: Any) -> dict[str, int]:
    """The token counts in an object that has them by our names."""
    if not isinstance(tokens, dict):
        return {}
    counts = {name: integer(tokens.get(name)) for name in TOKEN_FIELDS}
    return {name: count for name, count in counts.items() if count is not None}


def _step_events(
    step: dict[str, Any],
    trajectory: dict[str, Any],
    model: str | None,
    parent: str | None,
    depth: int,
) -> Iterator[dict[str, Any]]:
    """The lines of one step, and of the subagents that it called."""
    about = {"parent_tool_use_id": parent}
    if isinstance(step.get("timestamp"), str):
        about["timestamp"] = step["timestamp"]
    if step["source"] != "agent":
        if step["source"] == "user":
            text = {"type": "text", "text": content_text(step["message"])}
            yield {"type": "user", "message": {"role": "user", "content": [text]}, **about}
        return
    yield {"type": "assistant", "message": _message(step, trajectory, model), **about}
    for result in _results(step):
        call_id = text_or_none(result.get("source_call_id")) or _only_call(step)
        if depth < _DEEPEST:
            for subagent in _subagents(result, trajectory):
                default = text_or_none(subagent["agent"].get("model_name"))
                for inner in subagent["steps"]:
                    yield from _step_events(inner, subagent, default, call_id, depth + 1)
        if call_id is None:  # an agent that calls no tools, but writes commands, say
            text = {"type": "text", "text": content_text(result.get("content"))}
            yield {"type": "user", "message": {"role": "user", "content": [text]}, **about}
            continue
        extra = _extra(result)
        block = {
            "type": "tool_result",
            "tool_use_id": call_id,
            "content": content_text(result.get("content")),
            "is_error": extra.get("is_error") is True,
        }
        ended = {"timestamp": extra["ended_at"]} if isinstance(extra.get("ended_at"), str) else {}
        yield {"type": "user", "message": {"role": "user", "content": [block]}, **about, **ended}


def _message(step: dict[str, Any], trajectory: dict[str, Any], model: str | None) -> dict[str, Any]:
    extra = _extra(step)
    tokens = _step_tokens(step.get("metrics"))
    content: list[dict[str, Any]] = []
    if isinstance(step.get("reasoning_content"), str):
        content.append({"type": "thinking", "thinking": step["reasoning_content"]})
    text = content_text(step["message"])
    if text:
        content.append({"type": "text", "text": text})
    calls = step.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict):
            name, call_id = str(call.get("function_name")), str(call.get("tool_call_id"))
            call_input = call.get("arguments")
            content.append({"type": "tool_use", "id": call_id, "name": name, "input": call_input})
    usual_id = f"{trajectory.get('trajectory_id') or 'step'}:{step.get('step_id')}"
    # Its output tokens are known only of a message that has ended.
    ended = "tool_use" if calls else "end_turn"
    stop_reason = text_or_none(extra.get("stop_reason"))
    return {
        "id": text_or_none(extra.get("message_id")) or usual_id,
        "type": "message",
        "role": "assistant",
        "model": text_or_none(step.get("model_name"))
        or (SYNTHETIC if _is_no_model(step) else model),
        "content": content,
        "stop_reason": stop_reason or (ended if "output_tokens" in tokens else None),
        "usage": _usage(tokens),
    }


def _is_no_model(step: dict[str, Any]) -> bool:
    """Whether no model wrote an agent's step, such as the CLI's words on an error of the API."""
    return step["source"] == "agent" and step.get("llm_call_count") == 0


def _step_tokens(metrics: Any) -> dict[str, int]:
    """The tokens of a step by our names: the prompt's include the cached ones, ours do not."""
    if not isinstance(metrics, dict):
        return {}
    counts: dict[str, int | None] = {"output_tokens": integer(metrics.get("completion_tokens"))}
    prompt, cached = integer(metrics.get("prompt_tokens")), integer(metrics.get("cached_tokens"))
    written = integer(_extra(metrics).get("cache_creation_input_tokens"))
    counts["cache_read_tokens"], counts["cache_write_tokens"] = cached, written
    if prompt is not None:
        counts["input_tokens"] = max(0, prompt - (cached or 0) - (written or 0))
    return {name: count for name, count in counts.items() if count is not None}


def _usage(tokens: dict[str, int]) -> dict[str, int]:
    """Token counts by the names of the API."""
    return {key: tokens[name] for name, (_, key) in TOKEN_FIELDS.items() if name in tokens}


def _add(totals: dict[str, int | None], event: dict[str, Any]) -> None:
    """Adds the tokens of a message; what one message does not know is unknown of all."""
    if event["type"] != "assistant":
        return
    usage = event["message"]["usage"]
    for name, (_, key) in TOKEN_FIELDS.items():
        total = totals[name]
        totals[name] = total + usage[key] if total is not None and key in usage else None


def _results(step: dict[str, Any]) -> list[dict[str, Any]]:
    observation = step.get("observation")
    results = observation.get("results") if isinstance(observation, dict) else None
    return [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []


def _only_call(step: dict[str, Any]) -> str | None:
    """The call that a result without a call must be of; None if the step has several, or none."""
    calls = step.get("tool_calls")
    only = calls[0] if isinstance(calls, list) and len(calls) == 1 else None
    return text_or_none(only.get("tool_call_id")) if isinstance(only, dict) else None


def _subagents(result: dict[str, Any], trajectory: dict[str, Any]) -> list[dict[str, Any]]:
    """The trajectories inside this one that a result refers to."""
    refs, inside = result.get("subagent_trajectory_ref"), trajectory.get("subagent_trajectories")
    if not isinstance(refs, list) or not isinstance(inside, list):
        return []
    names = {ref.get("trajectory_id") for ref in refs if isinstance(ref, dict)}
    return [
        one
        for one in inside
        if isinstance(one, dict) and one.get("trajectory_id") in names and _is_whole(one)
    ]


def _is_whole(trajectory: dict[str, Any]) -> bool:
    """Whether a trajectory inside another one has what the rest relies on."""
    steps = trajectory.get("steps")
    return (
        isinstance(trajectory.get("agent"), dict)
        and isinstance(steps, list)
        and all(
            isinstance(step, dict)
            and step.get("source") in ("user", "agent", "system")
            and isinstance(step.get("message"), str | list)
            for step in steps
        )
    )


def _extra(fields: dict[str, Any]) -> dict[str, Any]:
    extra = fields.get("extra")
    return extra if isinstance(extra, dict) else {}
