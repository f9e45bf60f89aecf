// The table of tasks (or of sessions): virtual rows, counters that filter, search, mosaic, buttons.
// A row is a list; its columns are those of display/row_deltas.py.
const KEY = 0, NUM = 1, WORD = 2, TITLE = 3, NOW = 4, SINCE = 5, START = 6, TOOK = 7, COST = 8, DENIED = 9;
const ROW_PX = 26, MAX_ROWS = 12, MANY = 40, ANSWER_MS = 1500, SILENT_MS = 20000;
const LABELS = { retry: "Retry failed", pause: "Pause", resume: "Resume", cancel: "Cancel" };
let views = 0;

function applyChanges(rows, changes) {
  for (const change of changes) {
    const row = rows[change[0]];
    for (let at = 1; row && at < change.length; at += 2) row[change[at]] = change[at + 1];
  }
}

class Table {
  constructor(model, el) {
    Object.assign(this, { model, el, id: `cpr-${++views}`, filters: new Set(), search: "" });
    Object.assign(this, { order: [], slots: [], cursor: null, inside: false, held: false, dirty: new Set() });
    this.root = make("div", "cpr cpr-live");
    this.mosaic = make("div", "cpr-mosaic", "", { role: "img" });
    this.tools = make("div", "cpr-tools");
    this.chips = make("div", "cpr-chips", "", { role: "group", "aria-label": "Show only" });
    this.input = make("input", "cpr-search", "", { type: "search", placeholder: "Search", "aria-label": "Search" });
    this.input.dataset.lmSuppressShortcuts = "true";
    this.actions = make("div", "cpr-chips");
    this.tools.append(this.chips, this.input, this.actions);
    this.asking = make("div", "cpr-asking", "", { role: "status" });
    this.names = make("div", "cpr-row cpr-names");
    this.grid = make("div", "cpr-grid", "", { role: "grid", tabindex: "0", "aria-label": "Tasks" });
    this.grid.dataset.lmSuppressShortcuts = "true";
    this.space = make("div", "cpr-space", "", { role: "presentation" });
    this.nothing = make("div", "cpr-nothing mute");
    this.grid.append(this.space);
    this.viewer = new Viewer(this);
    this.root.append(this.mosaic, this.tools, this.asking, this.names, this.grid, this.nothing, this.viewer.root);
    el.append(this.root);
    this.listen();
    this.fill();
    this.heard = Date.now();
    this.timer = setInterval(() => this.second(), 1000);
    this.send({ do: "shown" });
  }

  get rows() { return this.model.get("rows"); }
  get meta() { return this.model.get("meta"); }
  send(what) {
    try {
      this.model.send({ ...what, id: this.id });
    } catch (error) {  // the kernel was restarted: the comm is closed
      if (what.do !== "hidden") this.lost();
    }
  }
  lost() {
    this.told({ text: "No word from the kernel; the session goes on. In a new cell:", code: `cpr.attach("${this.meta.short}")`, bad: true });
  }

  listen() {
    const on = (node, name, action) => node.addEventListener(name, action);
    on(this.grid, "scroll", () => this.soon());
    on(this.grid, "keydown", (event) => this.key(event));
    on(this.grid, "click", (event) => {
      const row = event.target.closest("[data-at]");
      if (row) { this.cursor = this.rows[this.order[row.dataset.at]][KEY]; this.toggle(this.cursor); }
    });
    on(this.mosaic, "click", (event) => {
      const row = this.rows[[...this.mosaic.children].indexOf(event.target)];
      if (row) { this.cursor = row[KEY]; this.arrange(); this.reveal(); this.open(row[KEY]); }
    });
    on(this.root, "pointerenter", () => { this.inside = true; this.hold(); });
    on(this.root, "pointerleave", () => { this.inside = false; this.hold(); this.soon(); });
    on(this.root, "focusin", () => this.hold());
    on(this.root, "focusout", () => setTimeout(() => { this.hold(); this.soon(); }));
    on(this.input, "input", () => this.find(this.input.value));
    on(this.input, "keydown", (event) => { if (event.key === "Escape") this.find(this.input.value = ""); });
    on(this.root, "keydown", (event) => { if (event.key === "Escape" && this.viewer.key) { this.close(); event.stopPropagation(); } });
    this.onRows = () => this.fill();
    this.onMeta = () => this.drawMeta();
    this.onMessage = (message) => this.hear(message);
    this.model.on("change:rows", this.onRows);
    this.model.on("change:meta", this.onMeta);
    this.model.on("msg:custom", this.onMessage);
  }

  remove() {
    clearInterval(this.timer);
    this.model.off("change:rows", this.onRows);
    this.model.off("change:meta", this.onMeta);
    this.model.off("msg:custom", this.onMessage);
    this.send({ do: "hidden" });
  }

  // While a person is at it, nothing may move or vanish: the kernel is told, rows keep their places.
  get busy() {
    return this.inside || this.root.contains(document.activeElement) || this.viewer.key !== null;
  }
  hold() {
    if (this.held !== this.busy) { this.held = this.busy; this.send({ do: "hold", on: this.held }); }
  }

  second() {
    if (this.meta.live && Date.now() - this.heard > SILENT_MS) this.lost();
    this.soon();
  }

  hear(message) {
    this.heard = Date.now();
    if (message.rows) {  // they are applied already, by `initialize`
      for (const change of message.rows) this.dirty.add(change[0]);
      this.soon();
    }
    if (message.told) this.told(message.told);
    if (message.view) this.viewer.take(message.view);
  }

  fill() {
    this.many = this.rows.length > MAX_ROWS;
    this.input.hidden = !this.many;
    this.mosaic.hidden = this.rows.length <= MANY;
    this.mosaic.replaceChildren(...(this.mosaic.hidden ? [] : this.rows.map(() => make("i"))));
    this.dirty = new Set(this.rows.keys());
    this.drawMeta();
    this.drawChips();
    this.arrange();
    this.soon();
  }

  // -- which rows, in which order ---------------------------------------------------------------

  look(word) { return this.meta.words[word] || ["?", "warn"]; }

  fits(row) {
    const wanted = this.filters.size === 0 || [...this.filters].some((name) =>
      name === "denied" ? row[DENIED] > 0 : (this.meta.groups.find((g) => g[0] === name) || [0, []])[1].includes(row[WORD]));
    return wanted && (!this.search || `${row[NUM]} ${row[KEY]} ${row[WORD]} ${row[TITLE]} ${row[NOW]}`.toLowerCase().includes(this.search));
  }

  arrange() {
    const rank = (row) => ({ bad: 0, run: 1, warn: 1 })[this.look(row[WORD])[1]] ?? 2;
    this.order = [];
    this.stale = false;
    this.rows.forEach((row, index) => { if (this.fits(row)) this.order.push(index); });
    if (this.many && this.meta.kind === "tasks") this.order.sort((a, b) => rank(this.rows[a]) - rank(this.rows[b]) || a - b);
  }

  // -- drawing ----------------------------------------------------------------------------------

  soon() {
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
      say(this.nothing, n ? "" : this.rows.length ? "Nothing fits." : this.meta.empty || "");
    }
    // The scroller may still stand where there are no rows any more.
    const first = Math.max(0, Math.min(Math.floor(this.grid.scrollTop / ROW_PX), n - MAX_ROWS) - 2);
    const last = Math.min(n, first + MAX_ROWS + 5);
    for (let at = first; at < last; at++) this.drawRow(this.slot(at - first), at, this.rows[this.order[at]]);
    for (let spare = last - first; spare < this.slots.length; spare++) this.slots[spare].hidden = true;
  }

  slot(number) {
    while (this.slots.length <= number) {
      const row = make("div", "cpr-row", "", { role: "row" });
      for (const name of ["n mute", "", "", "", "n", "n"]) row.append(make("span", name, "", { role: "gridcell" }));
      row.children[3].append(make("span", "warn"), make("span"));
      this.slots.push(row);
      this.space.append(row);
    }
    return this.slots[number];
  }

  drawRow(node, at, row) {
    const [num, word, title, now, time, cost] = node.children;
    const [symbol, tone] = this.look(row[WORD]);
    const time_s = kernelTime(this.rows);
    node.hidden = false;
    if (node.dataset.at !== String(at)) {
      node.dataset.at = at;
      node.id = `${this.id}-${at}`;
      node.style.top = `${at * ROW_PX}px`;
      node.setAttribute("aria-rowindex", at + 1);
    }
    const chosen = row[KEY] === this.cursor;
    node.setAttribute("aria-selected", chosen);
    look(node, `cpr-row${chosen ? " cpr-chosen" : ""}`);
    if (chosen) this.grid.setAttribute("aria-activedescendant", node.id);
    say(num, String(row[NUM]));
    say(word, `${symbol} ${row[WORD]}`);
    look(word, tone);
    say(title, row[TITLE]);
    if (title.title !== row[TITLE]) title.title = row[TITLE];
    say(now.firstChild, row[DENIED] ? `⚠ ${row[DENIED]} denied ` : "");
    say(now.lastChild, row[SINCE] ? `${row[NOW]}, ${Math.max(0, Math.floor(time_s - row[SINCE]))} s` : row[NOW]);
    look(now.lastChild, tone === "bad" ? "bad" : tone === "run" ? "" : "mute");
    if (now.title !== row[NOW]) now.title = row[NOW];
    say(time, clock(row[START] ? time_s - row[START] : row[TOOK]));
    say(cost, row[COST] === null ? "" : row[COST].toFixed(row[COST] > 0 && row[COST] < 0.005 ? 4 : 2));
  }

  drawMosaic() {
    for (const index of this.dirty) {
      const [row, cell] = [this.rows[index], this.mosaic.children[index]];
      look(cell, this.look(row[WORD])[1]);
      cell.title = `${row[NUM]} ${row[WORD]}: ${row[TITLE]}`;
    }
  }

  drawChips() {
    const count = new Map();
    let denied = 0;
    for (const row of this.rows) { count.set(row[WORD], (count.get(row[WORD]) || 0) + 1); denied += row[DENIED]; }
    const sum = (words) => words.reduce((all, word) => all + (count.get(word) || 0), 0);
    const chips = this.meta.groups.map(([name, words, always]) => [name, sum(words), always, ...this.look(name)]);
    chips.push(["denied", denied, false, "⚠", "warn"]);
    this.chips.hidden = !this.rows.length;
    this.chipNodes = this.chipNodes || new Map();
    for (const [name, n, always, symbol, tone] of chips) {
      let node = this.chipNodes.get(name);
      if (!node) {
        node = button("", () => this.filter(name), { "data-name": name });
        node.append(make("span", tone, `${symbol} `), make("span"));
        this.chipNodes.set(name, node);
        this.chips.append(node);
      }
      node.hidden = !n && !always && !this.filters.has(name);
      node.setAttribute("aria-pressed", this.filters.has(name));
      say(node.lastChild, `${n} ${name}`);
    }
    this.nRetry = sum(this.meta.again || []);
    const retry = this.actions.querySelector("[data-verb=retry]");
    if (retry) say(retry, `${LABELS.retry} (${this.nRetry})`);
    this.mosaic.setAttribute("aria-label", chips.filter((c) => c[1]).map((c) => `${c[1]} ${c[0]}`).join(", "));
  }

  filter(name) {
    if (!this.filters.delete(name)) this.filters.add(name);
    this.drawChips();
    this.begin();
  }

  find(text) {
    this.search = text.trim().toLowerCase();
    this.begin();
  }

  begin() {
    this.grid.scrollTop = 0;
    this.arrange();
    this.soon();
  }

  drawMeta() {
    const meta = this.meta;
    ["#", "State", meta.kind === "tasks" ? "Prompt" : "Session", "Now", "Time", "USD est."].forEach((name, at) => {
      const node = this.names.children[at] || this.names.appendChild(make("span", [0, 4, 5].includes(at) ? "n" : ""));
      say(node, name);
    });
    this.names.children[5].title = "The CLI's own estimate at list price";
    this.names.hidden = !this.rows.length;
    const verbs = Object.keys(meta.commands || {});
    if (this.shape === verbs.join()) return;
    this.shape = verbs.join();
    this.actions.replaceChildren(...verbs.map((verb) => button(
      LABELS[verb], () => this.click(verb), { "data-verb": verb, title: meta.commands[verb] })));
    this.drawChips();
    if (verbs.length) this.actions.prepend(make("code", "mute", `cpr ${verbs.join("|")} ${meta.short}`));
  }

  // -- asking -----------------------------------------------------------------------------------

  click(verb, key = "", command = this.meta.commands[verb]) {
    const left = this.rows.filter((row) => ["run", "mute"].includes(this.look(row[WORD])[1]) && row[TOOK] === null).length;
    const question = key ? `Cancel this task?` : verb === "retry" ? `Run ${this.nRetry} again, as a new session?`
      : verb === "cancel" ? `Cancel the ${left} that have not ended?` : "";
    if (!question) { this.ask(verb, key, command); return; }
    const yes = button(verb === "retry" ? "Run again" : "Cancel them", () => this.ask(verb, key, command), { "data-yes": verb });
    if (key) yes.textContent = "Cancel it";
    const no = button("No", () => this.asking.replaceChildren(), { "data-no": verb });
    this.asking.replaceChildren(make("span", "", question), yes, no, make("span", "mute", "the same:"), make("code", "", command));
    yes.focus();
  }

  ask(verb, key, command) {
    this.send({ do: "ask", verb, key });
    this.asking.replaceChildren(make("span", "mute", "asked …"), make("code", "mute", command));
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      this.asking.replaceChildren(make("span", "warn", "The kernel computes: it will be asked after the cell. In a terminal, at once:"), make("code", "", command));
    }, ANSWER_MS);
  }

  told({ text, code, bad }) {
    clearTimeout(this.waiting);
    this.asking.replaceChildren(make("span", bad ? "bad" : "mute", text));
    if (code) this.asking.append(make("code", "", code));
  }

  // -- keyboard, opening ------------------------------------------------------------------------

  key(event) {
    const at = this.order.findIndex((index) => this.rows[index][KEY] === this.cursor);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: MAX_ROWS, PageUp: -MAX_ROWS, Home: -Infinity, End: Infinity };
    if (event.key in steps && this.order.length) {
      const to = Math.min(this.order.length - 1, Math.max(0, at + steps[event.key]));
      this.cursor = this.rows[this.order[to]][KEY];
      this.reveal();
      if (this.viewer.key !== null) this.open(this.cursor);
    } else if (event.key === "Enter" && at >= 0) {
      this.toggle(this.cursor);
    } else if (event.key === "Escape" && this.viewer.key === null) {
      this.cursor = null;
      this.grid.blur();
    } else return;
    event.preventDefault();
    if (event.key !== "Escape") event.stopPropagation();
    this.soon();
  }

  reveal() {
    const top = this.order.findIndex((index) => this.rows[index][KEY] === this.cursor) * ROW_PX;
    const low = top + ROW_PX - this.grid.clientHeight;
    if (top >= 0) this.grid.scrollTop = Math.min(top, Math.max(low, this.grid.scrollTop));
    this.soon();
  }

  toggle(key) { if (this.viewer.key === key) this.close(); else this.open(key); }

  open(key) {
    this.cursor = key;
    if (this.meta.kind === "tasks") this.viewer.open(this.rows.find((row) => row[KEY] === key));
    this.send({ do: "open", key });
    this.hold();
    this.soon();
  }

  close() {
    this.send({ do: "close", key: this.viewer.key });
    this.viewer.close();
    this.grid.focus();
    this.hold();
    this.soon();
  }
}

export default {
  initialize({ model }) {
    model.on("msg:custom", (message) => {
      // In place: a saved notebook and further views then have the rows as they are now.
      if (message.rows) { applyChanges(model.get("rows"), message.rows); noteClock(model.get("rows"), message.now); }
    });
  },
  render({ model, el }) {
    const table = new Table(model, el);
    return () => table.remove();
  },
};
