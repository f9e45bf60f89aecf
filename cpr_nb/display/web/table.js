// The table of tasks (or of sessions): virtual rows, counters that filter, search, mosaic, buttons.
// A row is a list. The names of its columns (KEY, NUM …) come from display/row_deltas.py.
const ROW_PX = 26, MAX_ROWS = 12, MANY = 40, ANSWER_MS = 1500, SILENT_MS = 20000;
const LABELS = { retry: "Retry", pause: "Pause", resume: "Resume", cancel: "Cancel" };
const BUSY = "The kernel is busy with another cell.";
let views = 0;

function applyChanges(rows, changes) {
  for (const change of changes) {
    const row = rows[change[0]];
    for (let i = 1; row && i < change.length; i += 2) row[change[i]] = change[i + 1];
  }
}

class Table {
  constructor(model, el) {
    Object.assign(this, { model, el, id: `cpr-${++views}`, filters: new Set(), search: "" });
    Object.assign(this, { order: [], slots: [], cursor: null, inside: false, held: false, dirty: new Set() });
    this.root = element("div", "cpr cpr-live");
    this.mosaic = element("div", "cpr-mosaic", "", { role: "img" });
    this.tools = element("div", "cpr-tools");
    this.chips = element("div", "cpr-chips", "", { role: "group", "aria-label": "Show only" });
    this.input = element("input", "cpr-search", "", { type: "search", placeholder: "Search", "aria-label": "Search" });
    this.input.dataset.lmSuppressShortcuts = "true";
    this.actions = element("div", "cpr-chips");
    this.tools.append(this.chips, this.input, this.actions);
    this.action = element("div", "cpr-action", "", { role: "status" });
    this.heading = element("div", "cpr-row cpr-heading");
    this.grid = element("div", "cpr-grid", "", { role: "grid", tabindex: "0", "aria-label": "Tasks" });
    this.grid.dataset.lmSuppressShortcuts = "true";
    this.space = element("div", "cpr-space", "", { role: "presentation" });
    this.nothing = element("div", "cpr-nothing mute");
    this.grid.append(this.space);
    this.viewer = new Viewer(this);
    this.root.append(this.mosaic, this.tools, this.action, this.heading, this.grid, this.nothing, this.viewer.root);
    el.append(this.root);
    this.listen();
    this.reset();
    this.lastMessageAt = Date.now();
    this.timer = setInterval(() => this.everySecond(), 1000);
    this.send({ type: "shown" });
  }

  get rows() { return this.model.get("rows"); }
  get meta() { return this.model.get("meta"); }
  send(message) {
    try {
      this.model.send({ ...message, id: this.id });
    } catch (error) {  // the kernel was restarted: the comm is closed
      if (message.type !== "hidden") this.showDisconnected();
    }
  }
  showDisconnected() {
    this.showResult({ text: "The kernel does not answer. The session keeps running. In a new cell:", code: `cpr.attach("${this.meta.short}")`, bad: true });
  }

  listen() {
    const on = (node, name, action) => node.addEventListener(name, action);
    on(this.grid, "scroll", () => this.scheduleDraw());
    on(this.grid, "keydown", (event) => this.onKey(event));
    on(this.grid, "click", (event) => {
      const row = event.target.closest("[data-position]");
      if (row) { this.cursor = this.rows[this.order[row.dataset.position]][KEY]; this.toggle(this.cursor); }
    });
    on(this.mosaic, "click", (event) => {
      const row = this.rows[[...this.mosaic.children].indexOf(event.target)];
      if (row) { this.cursor = row[KEY]; this.arrange(); this.scrollToCursor(); this.open(row[KEY]); }
    });
    on(this.root, "pointerenter", () => { this.inside = true; this.hold(); });
    on(this.root, "pointerleave", () => { this.inside = false; this.hold(); this.scheduleDraw(); });
    on(this.root, "focusin", () => this.hold());
    on(this.root, "focusout", () => setTimeout(() => { this.hold(); this.scheduleDraw(); }));
    on(this.input, "input", () => this.searchFor(this.input.value));
    on(this.input, "keydown", (event) => { if (event.key === "Escape") this.searchFor(this.input.value = ""); });
    on(this.root, "keydown", (event) => { if (event.key === "Escape" && this.viewer.key) { this.close(); event.stopPropagation(); } });
    this.onRows = () => this.reset();
    this.onMeta = () => this.drawMeta();
    this.onCustom = (message) => this.onMessage(message);
    this.model.on("change:rows", this.onRows);
    this.model.on("change:meta", this.onMeta);
    this.model.on("msg:custom", this.onCustom);
  }

  remove() {
    clearInterval(this.timer);
    this.model.off("change:rows", this.onRows);
    this.model.off("change:meta", this.onMeta);
    this.model.off("msg:custom", this.onCustom);
    this.send({ type: "hidden" });
  }

  // While a person uses the table, nothing may move or vanish: rows stay in place, the kernel waits too.
  get busy() {
    return this.inside || this.root.contains(document.activeElement) || this.viewer.key !== null;
  }
  hold() {
    if (this.held !== this.busy) { this.held = this.busy; this.send({ type: "hold", on: this.held }); }
  }

  everySecond() {
    if (this.meta.live && Date.now() - this.lastMessageAt > SILENT_MS) this.showDisconnected();
    this.scheduleDraw();
  }

  onMessage(message) {
    this.lastMessageAt = Date.now();
    if (message.rows) {  // they are applied already, by `initialize`
      for (const change of message.rows) this.dirty.add(change[0]);
      this.scheduleDraw();
    }
    if (message.result) this.showResult(message.result);
    if (message.output) this.viewer.onMessage(message.output);
  }

  reset() {
    this.isLong = this.rows.length > MAX_ROWS;
    this.input.hidden = !this.isLong;
    this.mosaic.hidden = this.rows.length <= MANY;
    this.mosaic.replaceChildren(...(this.mosaic.hidden ? [] : this.rows.map(() => element("i"))));
    this.dirty = new Set(this.rows.keys());
    this.drawMeta();
    this.drawChips();
    this.arrange();
    this.scheduleDraw();
  }

  // -- which rows, in which order ---------------------------------------------------------------

  styleOf(state) { return this.meta.styles[state] || ["?", "warn"]; }

  matches(row) {
    const isShown = this.filters.size === 0 || [...this.filters].some((name) =>
      name === "denied" ? row[DENIED] > 0 : (this.meta.groups.find((g) => g[0] === name) || [0, []])[1].includes(row[STATE]));
    return isShown && (!this.search || `${row[NUM]} ${row[KEY]} ${row[STATE]} ${row[TITLE]} ${row[NOW]}`.toLowerCase().includes(this.search));
  }

  arrange() {
    const rank = (row) => ({ bad: 0, run: 1, warn: 1 })[this.styleOf(row[STATE])[1]] ?? 2;
    this.order = [];
    this.stale = false;
    this.rows.forEach((row, index) => { if (this.matches(row)) this.order.push(index); });
    if (this.isLong && this.meta.kind === "tasks") this.order.sort((a, b) => rank(this.rows[a]) - rank(this.rows[b]) || a - b);
  }

  // -- drawing ----------------------------------------------------------------------------------

  scheduleDraw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  draw() {
    if (this.dirty.size) {
      this.stale = true;
      this.drawChips();
      if (!this.mosaic.hidden) this.drawMosaic();
      this.dirty.clear();
    }
    if (this.stale && !this.busy) this.arrange();
    const n = this.order.length;
    const height = Math.min(n, MAX_ROWS) * ROW_PX;
    if (this.height !== height) this.grid.style.height = `${(this.height = height)}px`;
    if (this.total !== n) {
      this.space.style.height = `${(this.total = n) * ROW_PX}px`;
      this.grid.setAttribute("aria-rowcount", n);
      setText(this.nothing, n ? "" : this.rows.length ? "No matches." : this.meta.empty || "");
    }
    // The scroller may still stand where there are no longer any rows.
    const first = Math.max(0, Math.min(Math.floor(this.grid.scrollTop / ROW_PX), n - MAX_ROWS) - 2);
    const last = Math.min(n, first + MAX_ROWS + 5);
    for (let i = first; i < last; i++) this.drawRow(this.rowNode(i - first), i, this.rows[this.order[i]]);
    for (let spare = last - first; spare < this.slots.length; spare++) this.slots[spare].hidden = true;
  }

  rowNode(number) {
    while (this.slots.length <= number) {
      const row = element("div", "cpr-row", "", { role: "row" });
      for (const name of ["n mute", "", "", "", "n", "n"]) row.append(element("span", name, "", { role: "gridcell" }));
      row.children[3].append(element("span", "warn"), element("span"));
      this.slots.push(row);
      this.space.append(row);
    }
    return this.slots[number];
  }

  drawRow(node, position, row) {
    const [num, state, title, now, time, cost] = node.children;
    const [symbol, tone] = this.styleOf(row[STATE]);
    const time_s = kernelTime(this.rows);
    node.hidden = false;
    if (node.dataset.position !== String(position)) {
      node.dataset.position = position;
      node.id = `${this.id}-${position}`;
      node.style.top = `${position * ROW_PX}px`;
      node.setAttribute("aria-rowindex", position + 1);
    }
    const isChosen = row[KEY] === this.cursor;
    node.setAttribute("aria-selected", isChosen);
    setClass(node, `cpr-row${isChosen ? " cpr-chosen" : ""}`);
    if (isChosen) this.grid.setAttribute("aria-activedescendant", node.id);
    setText(num, String(row[NUM]));
    setText(state, `${symbol} ${row[STATE]}`);
    setClass(state, tone);
    setText(title, row[TITLE]);
    if (title.title !== row[TITLE]) title.title = row[TITLE];
    setText(now.firstChild, row[DENIED] ? `⚠ ${row[DENIED]} denied ` : "");
    setText(now.lastChild, row[SINCE] ? `${row[NOW]}, ${Math.max(0, Math.floor(time_s - row[SINCE]))} s` : row[NOW]);
    setClass(now.lastChild, tone === "bad" ? "bad" : tone === "run" ? "" : "mute");
    if (now.title !== row[NOW]) now.title = row[NOW];
    setText(time, clock(row[STARTED] ? time_s - row[STARTED] : row[DURATION]));
    setText(cost, row[COST] === null ? "" : row[COST].toFixed(row[COST] > 0 && row[COST] < 0.005 ? 4 : 2));
  }

  drawMosaic() {
    for (const index of this.dirty) {
      const [row, cell] = [this.rows[index], this.mosaic.children[index]];
      setClass(cell, this.styleOf(row[STATE])[1]);
      cell.title = `${row[NUM]} ${row[STATE]}: ${row[TITLE]}`;
    }
  }

  drawChips() {
    const count = new Map();
    let denied = 0;
    for (const row of this.rows) { count.set(row[STATE], (count.get(row[STATE]) || 0) + 1); denied += row[DENIED]; }
    const sum = (states) => states.reduce((total, state) => total + (count.get(state) || 0), 0);
    const chips = this.meta.groups.map(([name, states, always]) => [name, sum(states), always, ...this.styleOf(name)]);
    chips.push(["denied", denied, false, "⚠", "warn"]);
    this.chips.hidden = !this.rows.length;
    this.chipNodes = this.chipNodes || new Map();
    for (const [name, n, always, symbol, tone] of chips) {
      let node = this.chipNodes.get(name);
      if (!node) {
        node = button("", () => this.filter(name), { "data-name": name });
        node.append(element("span", tone, `${symbol} `), element("span"));
        this.chipNodes.set(name, node);
        this.chips.append(node);
      }
      node.hidden = !n && !always && !this.filters.has(name);
      node.setAttribute("aria-pressed", this.filters.has(name));
      setText(node.lastChild, `${n} ${name}`);
    }
    this.counts = new Map(chips.map((chip) => [chip[0], chip[1]]));
    const retry = this.actions.querySelector("[data-verb=retry]");
    if (retry) setText(retry, this.retryLabel());
    this.mosaic.setAttribute("aria-label", chips.filter((c) => c[1]).map((c) => `${c[1]} ${c[0]}`).join(", "));
  }

  // How many tasks are in these groups, such as failed and cancelled.
  countOf(groups) { return (groups || []).reduce((total, name) => total + (this.counts.get(name) || 0), 0); }

  // Says what a retry would run: "Retry failed (3)", or "Retry not succeeded (5)" for a mixture.
  retryLabel() {
    const groups = (this.meta.retryable || []).filter((name) => this.counts.get(name));
    return `${LABELS.retry} ${groups.length === 1 ? groups[0] : "not succeeded"} (${this.countOf(groups)})`;
  }

  filter(name) {
    if (!this.filters.delete(name)) this.filters.add(name);
    this.drawChips();
    this.showFromTop();
  }

  searchFor(text) {
    this.search = text.trim().toLowerCase();
    this.showFromTop();
  }

  showFromTop() {
    this.grid.scrollTop = 0;
    this.arrange();
    this.scheduleDraw();
  }

  drawMeta() {
    const meta = this.meta;
    ["#", "State", meta.kind === "tasks" ? "Prompt" : "Session", "Now", "Time", "USD est."].forEach((name, index) => {
      const node = this.heading.children[index] || this.heading.appendChild(element("span", [0, 4, 5].includes(index) ? "n" : ""));
      setText(node, name);
    });
    this.heading.children[0].title = meta.kind === "tasks" ? "Number of the task" : "Number of tasks";
    this.heading.children[5].title = "The CLI's own estimate, at list prices";
    this.heading.hidden = !this.rows.length;
    const verbs = Object.keys(meta.commands || {});
    if (this.shape === verbs.join()) return;
    this.shape = verbs.join();
    this.actions.replaceChildren(...verbs.map((verb) => button(
      LABELS[verb], () => this.confirm(verb), { "data-verb": verb, title: meta.commands[verb] })));
    this.drawChips();
  }

  // -- actions ----------------------------------------------------------------------------------

  confirm(verb, key = "", command = this.meta.commands[verb]) {
    const tasks = (groups) => plural(this.countOf(groups), "task");
    const question = key ? "Cancel this task?" : verb === "retry" ? `Run ${tasks(this.meta.retryable)} again in a new session?`
      : verb === "cancel" ? `Cancel ${tasks(this.meta.unfinished)}?` : "";
    if (!question) { this.sendAction(verb, key, command); return; }
    const yes = button(verb === "retry" ? "Run again" : key ? "Cancel task" : "Cancel all", () => this.sendAction(verb, key, command), { "data-yes": verb });
    const no = button("No", () => this.action.replaceChildren(), { "data-no": verb });
    this.action.replaceChildren(element("span", "", question), yes, no, element("span", "mute", "The same in a terminal:"), element("code", "", command));
    yes.focus();
  }

  sendAction(verb, key, command) {
    this.send({ type: "action", verb, key });
    this.action.replaceChildren(element("span", "mute", "Requested …"), element("code", "mute", command));
    clearTimeout(this.answerTimer);
    this.answerTimer = setTimeout(() => {
      this.action.replaceChildren(element("span", "warn", `${BUSY} Your click is queued and runs afterwards. To act now, in a terminal:`), element("code", "", command));
    }, ANSWER_MS);
  }

  showResult({ text, code, bad }) {
    clearTimeout(this.answerTimer);
    this.action.replaceChildren(element("span", bad ? "bad" : "mute", text));
    if (code) this.action.append(element("code", "", code));
  }

  // -- keyboard, opening ------------------------------------------------------------------------

  onKey(event) {
    const position = this.order.findIndex((index) => this.rows[index][KEY] === this.cursor);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: MAX_ROWS, PageUp: -MAX_ROWS, Home: -Infinity, End: Infinity };
    if (event.key in steps && this.order.length) {
      const target = Math.min(this.order.length - 1, Math.max(0, position + steps[event.key]));
      this.cursor = this.rows[this.order[target]][KEY];
      this.scrollToCursor();
      if (this.viewer.key !== null) this.open(this.cursor);
    } else if (event.key === "Enter" && position >= 0) {
      this.toggle(this.cursor);
    } else if (event.key === "Escape" && this.viewer.key === null) {
      this.cursor = null;
      this.grid.blur();
    } else return;
    event.preventDefault();
    if (event.key !== "Escape") event.stopPropagation();
    this.scheduleDraw();
  }

  scrollToCursor() {
    const top = this.order.findIndex((index) => this.rows[index][KEY] === this.cursor) * ROW_PX;
    const low = top + ROW_PX - this.grid.clientHeight;
    if (top >= 0) this.grid.scrollTop = Math.min(top, Math.max(low, this.grid.scrollTop));
    this.scheduleDraw();
  }

  toggle(key) { if (this.viewer.key === key) this.close(); else this.open(key); }

  open(key) {
    this.cursor = key;
    if (this.meta.kind === "tasks") this.viewer.open(this.rows.find((row) => row[KEY] === key));
    this.send({ type: "open", key });
    this.hold();
    this.scheduleDraw();
  }

  close() {
    this.send({ type: "close", key: this.viewer.key });
    this.viewer.close();
    this.grid.focus();
    this.hold();
    this.scheduleDraw();
  }
}

export default {
  initialize({ model }) {
    model.on("msg:custom", (message) => {
      // In place: a saved notebook and further views then have the rows as they are now.
      if (message.rows) { applyChanges(model.get("rows"), message.rows); setKernelClock(model.get("rows"), message.now); }
    });
  },
  render({ model, el }) {
    const table = new Table(model, el);
    return () => table.remove();
  },
};
