"""The node agents that a launch asks for: which engine places them, how many, how long a lease."""

from __future__ import annotations

from cpr_nb.model import engine_spec
from cpr_nb.model.engine_spec import EngineSpec, is_client, parse_engine
from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import check_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from cpr_nb.executors.placing import Engine
    from cpr_nb.model.spec import TaskSpec

LEASE_S = 120.0
#: With a shorter one, a busy machine would lose its tasks for nothing.
_LEAST_LEASE_S = 2.0
_ONLY_WITH_NODES = ("nodes", "slots", "lease_s")
_EXTRA = "cpr_nb[cluster]"


class ClusterPlan:
    """What a session with node agents needs beyond its tasks.

    Args:
        spec: The engine, as session.json keeps it.
        engine: The engine; None if nothing places node agents.
        nodes: How many nodes; None leaves that to the engine.
        slots: How many tasks each runs at once; None leaves that to the nodes.
        lease_s: After how many seconds of silence a node's tasks are given to others.
    """

    __slots__ = ("engine", "lease_s", "nodes", "slots", "spec")

    def __init__(
        self,
        spec: EngineSpec,
        engine: Engine | None,
        nodes: int | None,
        slots: int | None,
        lease_s: float = LEASE_S,
    ) -> None:
        self.spec = spec
        self.engine = engine
        self.nodes = nodes
        self.slots = slots
        self.lease_s = lease_s

    def as_json(self) -> dict[str, Any]:
        """What session.json says about it."""
        return {
            "engine": self.spec.as_json(),
            "nodes": self.nodes,
            "slots": self.slots,
            "lease_s": self.lease_s,
        }


def check_tasks_of_nodes(options: Mapping[str, Any], tasks: Iterable[TaskSpec]) -> None:
    """Refuses tasks that only the machine of the launch can run.

    Args:
        options: The session's options, checked.
        tasks: The tasks.

    Raises:
        InputError: It names the first one.
    """
    for task in tasks:
        if {**options, **task.options}.get("permissions") == "sandbox":
            raise InputError(
                "a sandbox hides the folders of the machine of the launch, and not those of a "
                "node: choose other permissions, or leave out 'executor'",
                f"{task.where}: permissions=sandbox",
            )


def plan_cluster(options: dict[str, Any]) -> ClusterPlan | None:
    """What the options ask for; None if the tasks run on this machine.

    In the place of a client, the options then have the text that session.json keeps.

    Args:
        options: The session's options, checked.

    Raises:
        InputError: If it can't work from here.
    """
    executor = options.get("executor", engine_spec.LOCAL)
    if executor == engine_spec.LOCAL:
        for name in _ONLY_WITH_NODES:
            if name in options:
                raise InputError(
                    "means something only where tasks run on nodes: pass 'executor', too", name
                )
        return None
    lease_s = options.get("lease_s", LEASE_S)
    if lease_s < _LEAST_LEASE_S:
        raise InputError(f"must be at least {_LEAST_LEASE_S:g} seconds", "lease_s")
    spec, engine = find_engine(executor)
    nodes = options.get("nodes")
    if engine is not None:
        engine.check(nodes)
    elif nodes is not None:
        raise InputError("nothing places node agents with executor 'agents': leave it out", "nodes")
    options["executor"] = executor if isinstance(executor, str) else spec.name
    return ClusterPlan(spec, engine, nodes, options.get("slots"), lease_s)


def add_cluster(executor: Any, nodes: int | None, slots: int | None) -> ClusterPlan:
    """What is to be added to a session that runs.

    Args:
        executor: As for a launch, but not ``local``.
        nodes: Likewise.
        slots: Likewise.

    Raises:
        InputError: If it can't work from here.
    """
    options = check_options({"executor": executor, "nodes": nodes, "slots": slots})
    cluster = plan_cluster(options)
    if cluster is None:
        raise InputError("a session with nodes runs no task on its own machine", "executor: local")
    return cluster


def stored_cluster(options: Mapping[str, Any]) -> ClusterPlan:
    """The node agents that a session has asked for, as its session.json keeps them.

    A client of Dask is not kept, so nothing places nodes for such a session again.

    Args:
        options: The session's options.

    Raises:
        InputError: If they can't be right.
    """
    executor = str(options.get("executor"))
    if executor == engine_spec.DASK:
        spec: EngineSpec = EngineSpec(engine_spec.DASK)
        engine = None
    else:
        spec, engine = find_engine(executor)
    return ClusterPlan(spec, engine, options.get("nodes"), options.get("slots"))


def find_engine(executor: Any) -> tuple[EngineSpec, Engine | None]:
    """The engine that the option ``executor`` means; None if nothing places node agents.

    Args:
        executor: A text, or a client of Dask; not ``local``.

    Raises:
        InputError: If it means none, or what every session with nodes needs is not installed.
    """
    from importlib.util import find_spec

    if is_client(executor):
        spec = EngineSpec(engine_spec.DASK)
    else:
        spec = parse_engine(executor, "executor")
    if find_spec("zmq") is None:
        raise InputError(f"needs pyzmq: pip install '{_EXTRA}'", f"executor: {spec.name}")
    return spec, _engine(spec, executor)


def _engine(spec: EngineSpec, executor: Any) -> Engine | None:
    if spec.name == engine_spec.DASK:
        from cpr_nb.executors.dask import DaskEngine

        return DaskEngine(executor)
    if spec.name == engine_spec.SLURM:
        from cpr_nb.executors.slurm import SlurmEngine

        return SlurmEngine(spec.words)
    if spec.name == engine_spec.SSH:
        from cpr_nb.executors.ssh import SshEngine

        return SshEngine(spec.words)
    return None
