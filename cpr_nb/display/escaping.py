"""Text of others as HTML that shows it unchanged."""

from __future__ import annotations

from typing import Any

from cpr_nb.model.text import visible


def plain(text: object) -> Any:
    """Returns text as HTML that shows it unchanged: no markup, and no mathematics either.

    Example:
        >>> plain("<b> $x$")
        Markup('&lt;b&gt; <span>$</span>x<span>$</span>')
    """
    from markupsafe import escape

    # Notebooks typeset $…$ and \(…\), but never across an element.
    html = str(escape(visible(str(text))))
    return markup(html.replace("\\", "<span>\\</span>").replace("$", "<span>$</span>"))


def markup(html: str) -> Any:
    """Marks HTML that was escaped where it was made, so that no template escapes it again."""
    from markupsafe import Markup

    return Markup(html)  # noqa: S704
