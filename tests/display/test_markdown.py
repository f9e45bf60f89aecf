"""Markdown of agents: a tree of a few elements, and never any markup of theirs."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.display.markdown import MAX_DEPTH, parse, to_html, to_text

TAGS = {"p", "ul", "ol", "li", "blockquote", "table", "tr", "th", "td", "em", "b", "s"}
TAGS |= {"code", "pre", "br", "hr", "span"}
PIECES = st.sampled_from(
    [
        *("# ", "- ", "3. ", "> ", "```\n", "`", "**", "_", "~~", "|", "|-|\n", "\n", "\n\n"),
        *("    ", "<script>", "<b onclick=x>", "<!--", "&lt;", "&#x202e;", "&#27;", "$a$", "\\("),
        *("\\", "\0", "![i](http://x)", "[t](javascript:x)", "<http://x>", "[r]: http://x"),
        *("\x1b[31m", "word "),
    ]
)


class Elements(HTMLParser):
    """The elements of a page; each one must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@given(st.lists(PIECES | st.text(max_size=20), max_size=30).map("".join))
def test_nothing_of_an_agent_is_markup(text: str) -> None:
    html = to_html(parse(text))
    elements = Elements(html)
    assert elements.tags <= TAGS and elements.attributes <= {"start"} and not elements.open
    assert "\x1b" not in html and "\u202e" not in html
    assert html.count("$") == html.count("<span>$</span>"), "no formula"
    assert html.count("\\") == html.count("<span>\\</span>")


@given(st.lists(PIECES | st.text("abc \n", max_size=20), max_size=30).map("".join))
def test_no_word_gets_lost(text: str) -> None:
    shown = to_text(parse(text))
    for word in ("word", "http://x", "script", "onclick"):
        assert shown.count(word) == text.count(word)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("## A *b*", "<p><b>A <em>b</em></b></p>"),
        ("a\nb", "<p>a<br>b</p>"),
        ("- a\n  - b\n- c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("```py\nx < 1\n```", "<pre>x &lt; 1</pre>"),
        ("|a|\n|-|\n|`b`|", "<table><tr><th>a</th></tr><tr><td><code>b</code></td></tr></table>"),
        ("> q\n\n***\n\n~~x~~", "<blockquote><p>q</p></blockquote><hr><p><s>x</s></p>"),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>"),
        ("[a](http://x)", "<p>[a](http://x)</p>"),
        ('{"a": "**b**"}', "<pre>{&#34;a&#34;: &#34;**b**&#34;}</pre>"),
        ('{"a": "**b', "<pre>{&#34;a&#34;: &#34;**b</pre>"),
        ("[1, 2]", "<pre>[1, 2]</pre>"),
        ("[note] x", "<p>[note] x</p>"),
    ],
)
def test_the_subset(text: str, html: str) -> None:
    assert to_html(parse(text)) == html


def test_what_is_nested_too_deeply_is_shown_as_it_is() -> None:
    text = "> " * MAX_DEPTH + "deep"
    assert to_html(parse(text)) == f"<pre>{text.replace('>', '&gt;')}</pre>"
    assert "deep" in to_text(parse("> " * 9 + "deep"))


def test_the_tree_is_json() -> None:
    assert json.loads(json.dumps(parse("2. *a*"))) == [["ol", [["li", [["em", ["a"], 1]], 1]], 2]]
