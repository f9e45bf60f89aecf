// What the table and the viewer both need. Text is only ever set by textContent.

function make(tag, cls = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function button(text, action, attributes = {}) {
  const node = make("button", "cpr-button", text, { type: "button", ...attributes });
  node.addEventListener("click", action);
  return node;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function look(node, cls) {
  if (node.className !== cls) node.className = cls;
}

function clock(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  const all = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

// The kernel's clock: it may run on another machine.
const offsets = new WeakMap();
function noteClock(rows, now) {
  const offset = now - Date.now() / 1000;
  offsets.set(rows, Math.abs(offset) > 2 ? offset : 0);
}
function kernelTime(rows) {
  return Date.now() / 1000 + (offsets.get(rows) || 0);
}
