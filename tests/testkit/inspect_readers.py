"""What Inspect's own readers say of a log, as JSON: run by a Python that has Inspect.

Usage: python inspect_readers.py LOGS FOLDER [evaluate]

LOGS is a log, or a folder of logs. Into FOLDER go the logs as Inspect itself writes them, ``.json``
and ``.eval``. With ``evaluate`` so does the log of an evaluation of its own, of a model that only
says what it is told to.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def read(log: Path, folder: Path, *more: str) -> dict[str, Any]:
    """What its tables and its logs say; Inspect is imported in a process of its own."""
    words = [sys.executable, __file__, str(log), str(folder), *more]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main(log: str, folder: str, *more: str) -> None:
    from inspect_ai.analysis import messages_df, samples_df
    from inspect_ai.log import convert_eval_logs, list_eval_logs, read_eval_log

    convert_eval_logs(log, "json", f"{folder}/json")
    convert_eval_logs(log, "eval", f"{folder}/eval")
    logs = [read_eval_log(one, resolve_attachments=True) for one in list_eval_logs(log)]
    answer = {
        "samples": json.loads(samples_df(log, quiet=True).to_json(orient="records")),
        "messages": json.loads(messages_df(log, quiet=True).to_json(orient="records")),
        "logs": [one.model_dump(mode="json") for one in logs],
    }
    if more:
        evaluate(f"{folder}/own")
    print(json.dumps(answer))


def evaluate(folder: str) -> None:
    """Two samples, two epochs each; the second call of the tool fails."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate, system_message, use_tools
    from inspect_ai.tool import ToolError, tool

    @tool
    def half():  # type: ignore[no-untyped-def]
        async def execute(number: int) -> str:
            """Halves.

            Args:
                number: An even number.
            """
            if number % 2:
                raise ToolError("it is odd")
            return f"half is {number // 2}"

        return execute

    def answers():  # type: ignore[no-untyped-def]
        usage = ModelUsage(input_tokens=10, output_tokens=2, total_tokens=12)
        while True:
            for number in (4, 3):
                call = ModelOutput.for_tool_call("mockllm/model", "half", {"number": number})
                # Without usage it would be counted with a file from the network.
                yield call.model_copy(update={"usage": usage})
            said = ModelOutput.from_content("mockllm/model", "It is two. " * 20)
            yield said.model_copy(update={"usage": usage})

    samples = [
        Sample(input="Half of 4?", target="two", id="four"),
        Sample(input="Half of 5?", target="none", id=5),
    ]
    solver = [system_message("Be brief."), use_tools(half()), generate()]
    task = Task(dataset=samples, solver=solver, scorer=includes(), epochs=2, name="halves")
    model = get_model("mockllm/model", custom_outputs=answers())
    (log,) = eval(task, model=model, log_dir=folder, display="none", max_samples=1)
    assert log.status == "success", log.error


def refuse(host: object, *_: object, **__: object) -> None:
    """Nothing here may go anywhere."""
    raise OSError(f"a test wanted to reach {host}")


if __name__ == "__main__":
    socket.getaddrinfo = refuse  # type: ignore[assignment]
    main(*sys.argv[1:])
