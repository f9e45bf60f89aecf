// An answer as a tree of texts and [tag, children, start] (display/markdown.py), built with text
// nodes only.
const ANSWER_TAGS = new Set("p ul ol li blockquote table tr th td em b s code pre br hr".split(" "));

function answerNode(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const [tag, children, start] = node;
  const shown = document.createElement(ANSWER_TAGS.has(tag) ? tag : "span");
  if (tag === "ol" && start !== 1) shown.start = start;
  shown.append(...children.map(answerNode));
  return shown;
}

function answerElement(tree) {
  const shown = element("div", "md mathjax_ignore tex2jax_ignore");
  shown.append(...tree.map(answerNode));
  return shown;
}
