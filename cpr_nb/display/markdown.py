"""A safe subset of Markdown: an agent's answer as a tree of a few elements, without links or HTML.

The tree is the only form in which an answer gets any structure. `to_html` escapes every text of it,
and the viewer builds it with text nodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from cpr_nb.display.escaping import plain
from cpr_nb.model.text import visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

#: An answer with deeper lists and quotations than this is shown as it is.
MAX_DEPTH = 40
# Markdown's node → our element. Headings become bold paragraphs: an answer must not add entries to
# the outline of a notebook.
_TAGS = {
    "paragraph": "p",
    "bullet_list": "ul",
    "list_item": "li",
    "blockquote": "blockquote",
    "table": "table",
    "tr": "tr",
    "th": "th",
    "td": "td",
    "em": "em",
    "strong": "b",
    "s": "s",
}
_EMPTY = ("br", "hr")


class Element(NamedTuple):
    """An element of an answer; as JSON it is a list of these three.

    Args:
        tag: One of p, ul, ol, li, blockquote, table, tr, th, td, em, b, s, code, pre, br, hr.
        children: Texts and elements.
        start: The number of an ordered list's first item.
    """

    tag: str
    children: tuple[Node, ...] = ()
    start: int = 1


Node = str | Element


def parse(text: str) -> list[Node]:
    """Returns an answer as a tree; JSON, and what is nested too deeply, as one piece of code.

    Args:
        text: The answer, or its beginning.

    Example:
        >>> parse("Two bugs")
        [Element(tag='p', children=('Two bugs',), start=1)]
    """
    from markdown_it.tree import SyntaxTreeNode

    if _is_json(text):
        return [_code(text)]
    tokens = _parser().parse(text)
    if any(token.level >= MAX_DEPTH for token in tokens):
        return [_code(text)]
    return list(_nodes(SyntaxTreeNode(tokens).children))


def to_html(tree: Iterable[Node]) -> str:
    """Returns a tree as HTML: every text is escaped, and there are no attributes but ``start``.

    Example:
        >>> to_html(parse("# A <b>"))
        '<p><b>A &lt;b&gt;</b></p>'
    """
    return "".join(map(_html, tree))


def to_text(tree: Iterable[Node]) -> str:
    """Returns the text of a tree, without any structure.

    Example:
        >>> to_text(parse("## Two *bugs*"))
        'Two bugs'
    """
    return "".join(node if isinstance(node, str) else _text(node) for node in tree)


def is_formatted(tree: Sequence[Node]) -> bool:
    """Whether a tree has more than paragraphs or one piece of code: the text looks otherwise.

    Example:
        >>> is_formatted(parse("Done.")), is_formatted(parse("**Done.**"))
        (False, True)
    """
    elements = [node for node in tree if isinstance(node, Element)]
    if [node.tag for node in elements] == ["pre"]:
        return False
    return any(node.tag not in ("p", "br") or is_formatted(node.children) for node in elements)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 2 * MAX_DEPTH})
    # Links and images stay as they were written: nobody is led elsewhere, and thousands of open
    # brackets would take seconds. A definition of a reference would vanish.
    parser.disable(["link", "image", "autolink", "reference"])
    return parser.enable(["table", "strikethrough"])


def _is_json(text: str) -> bool:
    begin = text.lstrip()[:1]
    if begin != "[":
        return begin == "{"  # also one that was cut
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _code(text: str) -> Element:
    return Element("pre", (visible(text.rstrip("\n")),))


def _nodes(nodes: Iterable[SyntaxTreeNode]) -> Iterator[Node]:
    for node in nodes:
        yield from _convert(node)


def _convert(node: SyntaxTreeNode) -> Iterator[Node]:
    """Yields a node of Markdown as nodes of ours."""
    kind = node.type
    if kind in ("text", "text_special"):
        if node.content:
            yield visible(node.content)  # an entity may have become a character that nobody sees
    elif kind == "code_inline":
        yield Element("code", (visible(node.content),))
    elif kind in ("fence", "code_block"):
        yield _code(node.content)
    elif kind in ("softbreak", "hardbreak"):  # the CLI keeps an agent's ends of lines, too
        yield Element("br")
    elif kind == "hr":
        yield Element("hr")
    elif kind == "heading":
        yield Element("p", (Element("b", tuple(_nodes(node.children))),))
    elif kind == "ordered_list":
        start = node.attrs.get("start", 1)
        yield Element("ol", tuple(_nodes(node.children)), start if isinstance(start, int) else 1)
    elif kind in _TAGS and not node.hidden:
        yield Element(_TAGS[kind], tuple(_nodes(node.children)))
    else:  # the inside of a paragraph, a paragraph of a tight list, the parts of a table
        yield from _nodes(node.children)


def _html(node: Node) -> str:
    if isinstance(node, str):
        return str(plain(node))
    if node.tag in _EMPTY:
        return f"<{node.tag}>"
    start = f' start="{node.start}"' if node.start != 1 else ""
    return f"<{node.tag}{start}>{to_html(node.children)}</{node.tag}>"


def _text(element: Element) -> str:
    return "\n" if element.tag == "br" else to_text(element.children)
