// Helpers of all parts. Text is only ever set as text, never as HTML.
const BUSY = "The kernel is busy with another cell.";
const ANSWER_MS = 1500, SILENT_MS = 20000;

function element(tag, cls = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function button(text, action, attributes = {}) {
  const node = element("button", "cpr-button", text, { type: "button", ...attributes });
  node.addEventListener("click", action);
  return node;
}

// Changes the text in place: a new node would wake everybody who watches the page for new nodes.
function setText(node, text) {
  const inside = node.firstChild;
  if (inside && inside === node.lastChild && inside.nodeType === Node.TEXT_NODE && text) {
    if (inside.data !== text) inside.data = text;
  } else if (node.textContent !== text) node.textContent = text;
}

function setClass(node, cls) {
  if (node.className !== cls) node.className = cls;
}

function setTitle(node, text) {
  if (node.title !== text) node.title = text;
}

// Fills a node anew only if what it should show has changed.
function fill(node, shape, build) {
  const key = JSON.stringify(shape);
  if (node.cprShape === key) return;
  node.cprShape = key;
  node.replaceChildren(...build());
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function clock(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  const total = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function shortCount(count) {
  for (const [limit, unit] of [[1e6, "M"], [1e3, "k"]]) {
    if (count >= limit) return count < 10 * limit ? `${(count / limit).toFixed(1)}${unit}` : `${Math.floor(count / limit)}${unit}`;
  }
  return String(count);
}

function dollars(cost) {
  return cost.toFixed(cost > 0 && cost < 0.005 ? 4 : 2);
}

function styleOf(state) { return STYLES[state] || ["?", "warn"]; }

// Text with the commands in it set as code, so that they can be copied.
function withCommands(text) {
  return text.split(/(\bcpr [a-z-]+(?: add| --nodes)?(?: [0-9a-f]{4,8}\b)?(?: slurm\b| ssh:HOST| \/\S+\/join\.json)?)/).map((part, index) =>
    index % 2 ? element("code", "", part) : document.createTextNode(part));
}
