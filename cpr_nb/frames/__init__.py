"""Sessions as pandas DataFrames: the only package that imports pandas."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: Called for every table that is made. The door, `cpr_nb`, sets it: the accessor ``df.cpr`` is
#: in `cpr_nb.pandas`, above this package, so tables can't import it themselves.
on_table: Callable[[], None] | None = None
