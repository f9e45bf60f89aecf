"""Who starts sessions through ``cpr mcp``: how deep it is, what it may spend and what it may do."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from cpr_nb.model import states
from cpr_nb.model.environment import CONVERSATION_VARIABLE
from cpr_nb.model.errors import InputError
from cpr_nb.model.options import PERMISSIONS
from cpr_nb.model.random_ids import new_uuid
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.key import own_key
from cpr_nb.store.layout import SESSION_PREFIX, SessionPaths
from cpr_nb.store.read import Snapshot

#: The variables that the runner sets for every agent.
SESSION_VARIABLE, TASK_VARIABLE = "CPR_SESSION_ID", "CPR_TASK_ID"
#: A person's Claude starts sessions, and their agents do not.
DEFAULT_DEPTH = 1
# A sum that is exactly the budget must leave nothing.
_DIGITS = 6
#: Options of an agent that hold for the sessions that it starts, too: they may do no more than it.
INHERITED = ("allow", "deny", "tools", "safe_mode", "settings", "add_dirs")


class Limits:
    """What the server's own arguments say.

    Args:
        budget_usd: What all sessions of one launcher may cost together; None for no limit.
        max_depth: How deep launchers may be.
        permissions: The most that a session may be permitted; None for the default.
    """

    __slots__ = ("budget_usd", "max_depth", "permissions")

    def __init__(
        self,
        budget_usd: float | None = None,
        max_depth: int = DEFAULT_DEPTH,
        permissions: str | None = None,
    ) -> None:
        self.budget_usd = budget_usd
        self.max_depth = max_depth
        self.permissions = permissions


class Launcher:
    """A person's Claude, or an agent of a session.

    Args:
        results_dir: The results directory.
        environ: The environment of the server.
        limits: What the server's arguments say.

    Attributes:
        depth: 0 for a person's Claude, 1 for an agent of a session that a person has started.
        parent_id: The session whose agent it is; empty for a person's Claude.
        problem: Why it may start nothing; empty if it may.
    """

    def __init__(self, results_dir: str, environ: Mapping[str, str], limits: Limits) -> None:
        self.results_dir = results_dir
        self.limits = limits
        self.parent_id = environ.get(SESSION_VARIABLE, "")
        self._task_id = environ.get(TASK_VARIABLE)
        self._conversation_id = environ.get(CONVERSATION_VARIABLE) or new_uuid()
        self.depth, self.problem = 0, ""
        self._options: dict[str, Any] = {}
        if self.parent_id:
            self._read_parent()
        if not self.problem:
            self.problem = self._why_not()

    @property
    def is_agent(self) -> bool:
        """Whether it is an agent that cpr itself runs."""
        return bool(self.parent_id)

    @property
    def key(self) -> str:
        """What its sessions have in common: they share a budget."""
        return self.parent_id or self._conversation_id

    @property
    def record(self) -> dict[str, Any]:
        """What session.json says of it."""
        if not self.is_agent:
            return {"conversation_id": self._conversation_id, "depth": self.depth}
        task = {"task_id": self._task_id} if self._task_id else {}
        return {"session_id": self.parent_id, **task, "depth": self.depth}

    @property
    def most_permissions(self) -> str:
        """The most that its sessions may be permitted: for an agent, what it has itself."""
        if self.limits.permissions:
            return self.limits.permissions
        return str(self._options.get("permissions", "edits"))

    def inherited_options(self) -> dict[str, Any]:
        """The options that its sessions get from it, if it is an agent."""
        if not self.is_agent:
            return {}
        inherited = {name: self._options.get(name) for name in INHERITED}
        inherited["allow"] = inherited["allow"] or []
        if not inherited["safe_mode"]:  # which has no servers anyway
            inherited["mcp_servers"] = {}
        return {name: value for name, value in inherited.items() if value is not None}

    def permissions_for(self, requested: str | None, default: str) -> str:
        """The permissions of a session.

        Args:
            requested: What the call names; None for the default.
            default: The default; where it is too much, it is the most that is permitted.

        Raises:
            InputError: If the call names more than is permitted.
        """
        most = self.most_permissions
        if requested is None:
            return min(default, most, key=PERMISSIONS.index)
        if requested not in PERMISSIONS:
            raise InputError(f"must be one of {', '.join(PERMISSIONS)}", "permissions")
        if PERMISSIONS.index(requested) > PERMISSIONS.index(most):
            raise InputError(
                f"{requested} is more than {most}, the most that is permitted here; "
                f"a person can raise it: cpr mcp --permissions {requested}",
                "permissions",
            )
        return requested

    def sessions(self) -> Iterator[tuple[Snapshot, dict[str, Any]]]:
        """The sessions that it has started, the newest first: their heads, and session.json."""
        for snapshot in catalog.list_sessions(self.results_dir):
            # Without a head nobody knows; one that is missed would not count.
            if not snapshot.head or _launcher_key(snapshot.head) == self.key:
                authorship = read_authorship(snapshot.paths)
                if authorship.is_ours and _launcher_key(authorship.spec) == self.key:
                    yield snapshot, authorship.spec

    def left_usd(self) -> float | None:
        """What is left of its budget; None without a budget.

        A session counts as all that it may cost until it has ended and its cost is known. One
        without a budget leaves nothing until it has ended: it may cost anything.
        """
        if self.limits.budget_usd is None:
            return None
        counted_usd = sum(_counted_usd(*one) for one in self.sessions())
        if math.isinf(counted_usd):
            return 0.0
        return round(self.limits.budget_usd - counted_usd, _DIGITS)

    def _read_parent(self) -> None:
        """Reads the session whose agent it is: from its sealed file, which no agent can forge."""
        paths = SessionPaths(f"{self.results_dir}/{SESSION_PREFIX}{self.parent_id}")
        authorship = read_authorship(paths)
        if not authorship.is_ours:
            self.depth, self._options = 1, {"permissions": "read"}
            self.problem = (
                f"the session of this agent, {self.parent_id}, is not in {self.results_dir} "
                f"({authorship.why}); name its results directory: cpr mcp --results-dir DIR"
            )
            return
        launched_by = authorship.spec.get("launched_by")
        above = launched_by.get("depth") if isinstance(launched_by, dict) else None
        self.depth = 1 + (above if type(above) is int else 0)
        self._options = dict(authorship.spec.get("options", {}))
        tasks = authorship.spec.get("tasks", [])
        if self._task_id:
            own = [task.get("options", {}) for task in tasks if task.get("id") == self._task_id]
            self._options |= own[0] if own else {}
        elif any(task.get("options") for task in tasks):
            self.problem = (
                "this agent shares its process with tasks that have other options, so nobody "
                "knows what its sessions may do: launch them without share_process"
            )

    def _why_not(self) -> str:
        """Why it may start nothing; empty if it may."""
        if self.depth >= self.limits.max_depth:
            return (
                f"this is an agent of a cpr session, at depth {self.depth}, and sessions may be "
                f"started down to depth {self.limits.max_depth - 1} only: do the work yourself; a "
                f"person can allow it: cpr mcp --max-depth {self.depth + 1}"
            )
        if self.is_agent and self.limits.budget_usd is None:
            return "agents start sessions only with a budget: cpr mcp --budget-usd X"
        if own_key() is None:
            return "there is no state directory, so nobody could tell its sessions (cpr doctor)"
        return ""


def read_environment(results_dir: str, limits: Limits) -> Launcher:
    """The launcher that the environment of this process names."""
    return Launcher(results_dir, os.environ, limits)


def _launcher_key(fields: Mapping[str, Any]) -> str | None:
    """What names the launcher of a session, from its head or from session.json."""
    launched_by = fields.get("launched_by")
    if not isinstance(launched_by, dict):
        return None
    key = launched_by.get("session_id") or launched_by.get("conversation_id")
    return key if isinstance(key, str) else None


def _counted_usd(snapshot: Snapshot, spec: Mapping[str, Any]) -> float:
    """What counts of a session against its launcher's budget."""
    cost, limit = snapshot.head.get("cost_usd"), spec.get("options", {}).get("budget_usd")
    cost_usd = float(cost) if isinstance(cost, int | float) else 0.0
    has_ended = snapshot.state in states.ENDED_STATES
    if limit is None and not has_ended:
        return math.inf
    if has_ended and not snapshot.count("n_unknown_costs"):
        return cost_usd
    return max(cost_usd, float(limit or 0.0))
