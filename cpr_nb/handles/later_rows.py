"""What may come after a session: its rows as the input of a session that is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpr_nb.handles.collection import SessionTasks
from cpr_nb.model.errors import InputError

if TYPE_CHECKING:
    from cpr_nb.launching.later_request import SessionInput


class SessionPlans(SessionTasks):
    """The methods of a `Session` that say which of its rows a later session is about."""

    def where(self, condition: str) -> SessionInput:
        """Some rows of this session, whether they are known yet or not: for ``after=``.

        Args:
            condition: An expression over the columns of `results_df`, as for
                `pandas.DataFrame.query`. It is a text, since it may be evaluated when this process
                is gone.

        Returns:
            What `cpr_nb.map` takes as ``after=``.

        Raises:
            InputError: If it is no text.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> cpr.map("Fix {path}: {reason}", after=s.where("score < 3"))  # doctest: +SKIP
        """
        from cpr_nb.launching.later_request import SessionInput

        if not isinstance(condition, str) or not condition.strip():
            raise InputError(
                "must be a text, such as 'ok and score < 3': a function or a mask of this process "
                "would be gone when it is needed",
                "where",
            )
        return SessionInput(self.paths.root, condition)

    def as_input(self) -> SessionInput:
        """The rows of this session that will have succeeded, as ``after=`` takes them."""
        from cpr_nb.launching.later_request import SessionInput

        return SessionInput(self.paths.root)
