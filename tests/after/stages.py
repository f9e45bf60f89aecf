"""What the tests of planned sessions share: an input that ends when a test says so."""

from __future__ import annotations

import pandas as pd
from testkit.stub import Stub, plan

import cpr_nb as cpr

LIMIT_S = 120.0
SCHEMA = {"score": int, "reason": str}


def rated(score: int, reason: str = "so", gate: str = "") -> str:
    answer = {"structured_output": {"score": score, "reason": reason}}
    return plan(result=answer, **({"here": gate, "gate": gate} if gate else {}))


def held_input(stub: Stub) -> cpr.Session:
    """Three rows with a score; the last one ends when the test releases it."""
    stub.fifos("held")
    df = pd.DataFrame({"path": ["a", "b", "c"]})
    df["do"] = [rated(1, "bad"), rated(5, "good"), rated(2, "poor", "held")]
    first = cpr.map("Rate {path}. {do}", df, schema=SCHEMA, max_parallel=3)
    stub.await_here("held")
    return first
