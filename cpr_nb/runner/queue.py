"""Which task is next: first those that already had an attempt, then the others. Pure.

The tasks of one group share the beginning of their requests, which the API caches once it has
answered the first of them. Until then one task of the group leads and the others are held back.
They may start when it is answered, or when it has ended without an answer (then the next one
leads).
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Queue:
    """The order in which tasks start.

    Args:
        n_tasks: How many tasks there are, numbered from 0.
        groups: The group of each task, or None if all may start at any time.
        order: The tasks in the order in which they start; None: as they are numbered.

    Example:
        >>> queue = Queue(3, [7, 7, 7])
        >>> queue.pop(lambda task: True), queue.pop(lambda task: True)
        (0, None)
        >>> queue.answered(0)
        >>> queue.pop(lambda task: True)
        1
    """

    def __init__(
        self,
        n_tasks: int,
        groups: Sequence[int] | None = None,
        order: Sequence[int] | None = None,
    ) -> None:
        self._n_tasks = n_tasks
        self._order = order or range(n_tasks)
        self._next = 0  # every task before it was popped or is held back
        self._first: deque[int] = deque()
        self._left_out: set[int] = set()
        self._groups = groups
        self._warm: set[int] = set()
        self._leader: dict[int, int] = {}
        self._held: dict[int, deque[int]] = {}

    def put_first(self, task: int) -> None:
        """Lets a task start again before all others."""
        self._first.appendleft(task)

    def put_back(self, task: int) -> None:
        """Lets a task start again after those that wait here already, but before new ones."""
        self._first.append(task)

    def leave_out(self, task: int) -> None:
        """Excludes a task: it starts only when it is put here."""
        self._left_out.add(task)

    def pop(self, waits: Callable[[int], bool], *, new: bool = False) -> int | None:
        """Removes and returns the next task.

        Args:
            waits: Whether a task still waits to start.
            new: Whether a task that has not been started yet goes first.

        Returns:
            The task, or None if none may start now.
        """
        while (task := self._pop_candidate(new=new)) is not None:
            if waits(task) and not self._hold_back(task):
                return task
        return None

    def _pop_candidate(self, *, new: bool) -> int | None:
        if self._first and not (new and self._next < self._n_tasks):
            return self._first.popleft()
        while self._next < self._n_tasks:
            self._next += 1
            task = self._order[self._next - 1]
            if task not in self._left_out:
                return task
        return self._first.popleft() if self._first else None

    def _hold_back(self, task: int) -> bool:
        if self._groups is None:
            return False
        group = self._groups[task]
        if group in self._warm:
            return False
        if self._leader.setdefault(group, task) == task:
            return False
        self._held.setdefault(group, deque()).append(task)
        return True

    def answered(self, task: int) -> None:
        """The API answered a task: what its group shares is cached now."""
        if self._groups is not None:
            group = self._groups[task]
            self._warm.add(group)
            self._leader.pop(group, None)
            self._let_go(group)

    def ended(self, task: int) -> None:
        """A task's attempt is over: if it led and got no answer, another one leads."""
        if self._groups is not None and self._leader.get(self._groups[task]) == task:
            del self._leader[self._groups[task]]
            self._let_go(self._groups[task])

    def cool(self) -> None:
        """A long time passed: nothing is cached now."""
        self._warm.clear()

    def _let_go(self, group: int) -> None:
        self._first.extend(self._held.pop(group, ()))

    @property
    def is_warming(self) -> bool:
        """Whether tasks are held back for one that leads."""
        return bool(self._held)
