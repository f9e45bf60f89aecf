"""Which schemas the real CLI takes, and what comes back by them."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest
from testkit.cli import Cli
from testkit.command import LIMIT_S, script
from testkit.schemas import ANSWER, REFUSED, WHOLE, of

import cpr_nb as cpr
from cpr_nb.model.schemas.answer import read_schema
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli


@pytest.fixture
def cli(claude: str, tmp_path: Path) -> Iterator[Cli]:
    """Starts the real CLI; what still runs at the end of the test is ended."""
    start = Cli(claude, tmp_path)
    yield start
    for run in start.runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.communicate()


def readable(cli: Cli, api: ScriptedApi, schemas: dict[str, Any]) -> dict[str, str]:
    """What the CLI writes to stderr of each schema; empty if it takes the schema."""
    prompt = script({"fail": {"status": 400}})  # which says that the schema came so far
    found = {}
    for first in range(0, len(schemas), 4):
        runs = {
            name: cli(api, prompt, "--json-schema", json.dumps(schemas[name]))
            for name in list(schemas)[first : first + 4]
        }
        for name, run in runs.items():
            out, err = run.process.communicate(timeout=LIMIT_S)
            assert bool(out) == (b"Error" not in err), name
            found[name] = "" if out else err.decode()
    return found


@pytest.mark.slow
def test_what_we_refuse_for_the_cli_it_would_refuse(cli: Cli, api: ScriptedApi) -> None:
    words = readable(cli, api, {n: case.schema for n, case in REFUSED.items() if case.by == "CLI"})
    assert {n: err for n, err in words.items() if "is not a valid JSON Schema: " not in err} == {}
    assert api.requests == []


@pytest.mark.slow
def test_what_we_refuse_for_the_api_the_cli_would_pass_on(cli: Cli, api: ScriptedApi) -> None:
    """If the CLI refuses one of these by now, our reason is another one."""
    words = readable(cli, api, {n: case.schema for n, case in REFUSED.items() if case.by != "CLI"})
    assert {n: err for n, err in words.items() if err} == {}


def test_every_schema_that_we_take_the_cli_takes_and_obeys(cli: Cli, api: ScriptedApi) -> None:
    schema = json.dumps(read_schema(WHOLE))
    result = cli(api, script({"so": ANSWER}), "--json-schema", schema).result()
    assert (result["is_error"], result["structured_output"]) == (False, ANSWER)
    (tool,) = [r.tools for r in api.requests][:1]
    assert "StructuredOutput" in tool


class Level(enum.Enum):
    """How bad it is."""

    LOW = "low"
    HIGH = "high"


@dataclass
class Place:
    city: str
    lines: tuple[int, str]


@dataclass
class Review:
    """A review of one file."""

    level: Level
    bugs: int
    place: Place | None
    day: date
    tags: set[str] = field(default_factory=set)


class Plain(TypedDict):
    z: Literal["b", "a"]
    a: float


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Tree(msgspec.Struct, rename="camel"):
    own_name: str
    kids: list[Tree] = []


class Model(pydantic.BaseModel):
    model_config = {"strict": True, "json_schema_extra": {"x-note": "of ours"}}

    seen_at: datetime = pydantic.Field(alias="seenAt", description="when it was seen")
    kind: Literal["only"] = "only"
    pair: tuple[int, str]
    next: Model | None = None


DAY = {
    "level": "high",
    "bugs": 2,
    "place": {"city": "Bonn", "lines": [3, "x"]},
    "day": "2026-05-01",
}
SEEN = {"seenAt": "2026-05-01T10:00:00Z", "pair": [1, "a"]}
KINDS: dict[str, tuple[Any, Any, Any]] = {
    "mapping": (
        {"level": Level, "n": int | None, "at": {"day": date}},
        {"level": "low", "n": None, "at": {"day": "2026-05-01"}},
        {"level": Level.LOW, "n": None, "at": {"day": date(2026, 5, 1)}},
    ),
    "dataclass": (Review, DAY, Review(Level.HIGH, 2, Place("Bonn", (3, "x")), date(2026, 5, 1))),
    "TypedDict": (Plain, {"z": "b", "a": 1}, {"z": "b", "a": 1.0}),
    "NamedTuple": (Pair, {"left": 1}, Pair(1)),
    "Struct": (Tree, {"ownName": "t", "kids": [{"ownName": "k"}]}, Tree("t", [Tree("k")])),
    "pydantic": (
        Model,
        {**SEEN, "next": SEEN},
        Model(
            seenAt=datetime(2026, 5, 1, 10, tzinfo=UTC),
            pair=(1, "a"),
            next=Model(seenAt=datetime(2026, 5, 1, 10, tzinfo=UTC), pair=(1, "a")),
        ),
    ),
    "within": (
        {"models": list[Model], "pairs": dict[str, Pair]},
        {"models": [SEEN], "pairs": {"p": [1, "x"]}},
        {
            "models": [Model(seenAt=datetime(2026, 5, 1, 10, tzinfo=UTC), pair=(1, "a"))],
            "pairs": {"p": Pair(1, "x")},
        },
    ),
    "JSON schema": (
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **of(n={"type": "integer"})},
        {"n": 3.0},
        {"n": 3},
    ),
}


@pytest.mark.slow
def test_every_kind_of_schema_comes_back_as_its_type(
    in_env: Callable[[dict[str, str]], None], offline_env: dict[str, str]
) -> None:
    in_env(offline_env)
    session = cpr.launch(
        [
            {"id": name.replace(" ", "-"), "prompt": script({"so": so}), "schema": schema}
            for name, (schema, so, _) in KINDS.items()
        ],
        max_parallel=4,
    )
    found = {name: session.task(name.replace(" ", "-")).result(LIMIT_S) for name in KINDS}
    assert found == {name: value for name, (*_, value) in KINDS.items()}
    assert all(type(found[name]) is type(value) for name, (*_, value) in KINDS.items())
    # Another handle knows the JSON schema only.
    plain = cpr.attach(session.id)
    assert plain.task("dataclass").result() == plain.task("dataclass").structured == DAY


def test_what_a_format_forbids_the_cli_lets_pass(
    in_env: Callable[[dict[str, str]], None], offline_env: dict[str, str]
) -> None:
    in_env(offline_env)
    prompt = {"id": "t", "prompt": script({"so": {"day": "tomorrow"}})}
    session = cpr.launch([prompt], schema={"day": date})
    with pytest.raises(
        cpr.AnswerError, match=r"task 1 \(t\): the answer does not fit Answer: .*day"
    ):
        session[0].result(LIMIT_S)
    assert session[0].ok and session[0].structured == {"day": "tomorrow"}


def test_a_retry_asks_for_the_same_type(
    in_env: Callable[[dict[str, str]], None], offline_env: dict[str, str]
) -> None:
    in_env(offline_env)
    prompt = {"id": "t", "prompt": script({"so": {"left": 1}})}
    session = cpr.launch([prompt], schema=Pair).wait(LIMIT_S)
    again = session.retry(all_tasks=True)
    assert again[0].result(LIMIT_S) == Pair(1)
    other = session.retry(all_tasks=True, schema={"left": float})
    assert other[0].result(LIMIT_S) == {"left": 1.0}
