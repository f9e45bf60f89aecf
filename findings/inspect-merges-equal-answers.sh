#!/usr/bin/env bash
# inspect-ai 0.3.285: a sample in which a model gives the same answer twice in a row, without a
# question between the two.
#
# Expected: messages_df has a row for each message that the log's own sample has.
# Seen: the two answers are one row in messages_df, though each was paid for and has an id of its
# own. Two different answers in a row are two rows, and so are two equal ones around a question.
#
# Exits with 0 while this behaves so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q inspect-ai==0.3.285 pandas==3.1.1 pyarrow==26.0.1
export HOME="$folder" INSPECT_LOG_LEVEL=error
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

from inspect_ai import Task
from inspect_ai import eval as run
from inspect_ai.analysis import messages_df
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, ModelOutput, ModelUsage, get_model
from inspect_ai.solver import solver


def answer(text):
    output = ModelOutput.from_content("mockllm/model", text)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output


@solver
def two_answers(question):
    async def solve(state, generate):
        state = await generate(state)
        if question:
            state.messages.append(ChatMessageUser(content=question))
        return await generate(state)

    return solve


def count(first, second, question):
    """How many messages the log's sample has, and how many rows messages_df."""
    model = get_model("mockllm/model", custom_outputs=[answer(first), answer(second)])
    task = Task(dataset=[Sample(input="Work.")], solver=two_answers(question))
    log = run(task, model=model, log_dir="logs", display="none")[0]
    return len(log.samples[0].messages), len(messages_df(log.location))


counts = {}
for case in (("Done.", "Done.", ""), ("Done.", "Over.", ""), ("Done.", "Done.", "Again?")):
    counts[case] = count(*case)
    print(f"{case}: messages in the sample: {counts[case][0]}, rows: {counts[case][1]}")
sys.exit(list(counts.values()) != [(3, 2), (3, 3), (4, 4)])
PYTHON
