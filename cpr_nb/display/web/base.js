// Helpers of the table and the viewer. Text is only ever set by textContent.

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

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setClass(node, cls) {
  if (node.className !== cls) node.className = cls;
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

// The kernel may run on another machine, with another clock.
const offsets = new WeakMap();
function setKernelClock(rows, now) {
  const offset = now - Date.now() / 1000;
  offsets.set(rows, Math.abs(offset) > 2 ? offset : 0);
}
function kernelTime(rows) {
  return Date.now() / 1000 + (offsets.get(rows) || 0);
}
