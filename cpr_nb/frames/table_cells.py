"""The cells of a table as texts for eyes: short ids, fixed decimals, one line each."""

from __future__ import annotations

import re
from html import escape
from typing import Any, NamedTuple

import pandas as pd

from cpr_nb.frames.mapping import RESULT
from cpr_nb.model.text import one_line

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MISSING = "<NA>"


class CellTexts(NamedTuple):
    """A column of texts.

    Args:
        kind: The classes of its cells: ``n`` for numbers, ``t`` for texts, ``i`` for ids.
        texts: A text per row; None where the value is missing.
    """

    kind: str
    texts: list[str | None]

    @property
    def wraps(self) -> bool:
        """Whether its cells may have several lines: the user wants long texts whole."""
        return self.kind.endswith(" w")

    def html(self, row: int) -> str:
        """The text of a row, escaped."""
        text = self.texts[row]
        return plain_text(_MISSING if text is None else text)


def plain_text(text: str) -> str:
    r"""Escapes a text; no notebook typesets mathematics in it.

    Example:
        >>> plain_text("<b> $x$")
        '&lt;b&gt; <span>$</span>x<span>$</span>'
    """
    html = escape(text)
    return html.replace("\\", "<span>\\</span>").replace("$", "<span>$</span>")


def cell_texts(column: pd.Series[Any], name: Any) -> CellTexts:
    """Returns the texts of a column.

    Args:
        column: The column.
        name: Its name, which has its unit.

    Example:
        >>> cell_texts(pd.Series([0.1, None]), "cost_usd")
        CellTexts(kind='n', texts=['0.10', None])
    """
    name = name if isinstance(name, str) else ""
    values = [None if _is_missing(value) else value for value in column]
    known = [value for value in values if value is not None]
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        kind, form = "t", "{}"
    elif pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        kind, form = "n", _number_format(name, known)
    elif isinstance(dtype, pd.DatetimeTZDtype):
        kind, form = "t", "{:%Y-%m-%d %H:%M}"
    else:
        return _words(name, values)
    return CellTexts(kind, [None if value is None else form.format(value) for value in values])


def _words(name: str, values: list[Any]) -> CellTexts:
    width = pd.get_option("display.max_colwidth")
    limit = width or 1_000_000
    texts = [None if value is None else one_line(str(value), limit) for value in values]
    if name.endswith("_id"):
        short = [text[:8] if text and _UUID.fullmatch(text) else text for text in texts]
        return CellTexts("i", short)
    kind = "t r" if name == RESULT else "t"
    return CellTexts(kind if width else f"{kind} w", texts)


def _number_format(name: str, values: list[Any]) -> str:
    """How the numbers of a column are written: all with the same decimals, if they are ours."""
    if name.endswith("_usd"):
        return "{:,.4f}" if any(0 < value < 0.005 for value in values) else "{:,.2f}"
    if name.endswith("_s"):
        return "{:,.0f}" if any(value >= 1000 for value in values) else "{:.1f}"
    if name.startswith("n_") or name.endswith(("_tokens", "_bytes")):
        return "{:,}"
    return "{:.6g}" if any(isinstance(value, float) for value in values) else "{}"


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
