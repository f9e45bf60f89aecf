// The table of tasks (or of sessions): virtual rows, by keyboard too.
// A row is a list. The names of its columns (KEY, NUM …) come from display/row_deltas.py.
const ROW_PX = 26, MAX_ROWS = 12;
const RANKS = { bad: 1, run: 2, warn: 2 };  // by the tone of a state

class Table {
  constructor(part) {
    Object.assign(this, { part, order: [], slots: [], cursor: null, stale: false });
    this.heading = element("div", "cpr-row cpr-heading", "", { "aria-hidden": "true" });
    this.grid = element("div", "cpr-grid", "", { role: "grid", tabindex: "0", id: `${part.domId}-grid` });
    this.grid.dataset.lmSuppressShortcuts = "true";
    this.names = element("div", "cpr-unseen", "", { role: "row" });
    this.space = element("div", "cpr-space", "", { role: "presentation" });
    this.nothing = element("div", "cpr-nothing mute");
    this.grid.append(this.names, this.space);
    this.hint = element("div", "cpr-hint mute");
    this.nodes = [this.heading, this.grid, this.nothing, this.hint];
    this.drawHeading();
    this.grid.addEventListener("scroll", () => part.scheduleDraw());
    this.grid.addEventListener("keydown", (event) => this.onKey(event));
    this.grid.addEventListener("click", (event) => {
      const row = event.target.closest("[data-position]");
      if (row) { this.cursor = part.rows[this.order[row.dataset.position]][KEY]; this.toggle(this.cursor); }
    });
  }

  drawHeading() {
    const isTasks = this.part.kind === "tasks";
    const names = ["#", "State", isTasks ? "Prompt" : "Session", "Now", "Node", "Time", "Tokens", "USD est."];
    const titles = { 0: isTasks ? "Number of the task" : "Number of tasks", 7: "The CLI's own estimate, at list prices" };
    names.forEach((name, index) => {
      const cls = index === 4 ? "cpr-node" : [0, 5, 6, 7].includes(index) ? "n" : "";
      this.heading.append(element("span", cls, name, { title: titles[index] || "" }));
      this.names.append(element("span", index === 4 ? cls : "", index ? name : titles[0], { role: "columnheader" }));
    });
    this.grid.setAttribute("aria-label", isTasks ? "Tasks" : "Sessions");
  }

  get isLong() { return this.part.rows.length > MAX_ROWS; }

  reset() {
    this.part.tools.input.hidden = !this.isLong;
    this.heading.hidden = this.grid.hidden = !this.part.rows.length;
    this.arrange();
  }

  // Of many tasks those that ask come first, then failures, then what runs: four buckets, no sort.
  arrange() {
    const { rows, tools, kind } = this.part;
    const buckets = [[], [], [], []], isRanked = this.isLong && kind === "tasks";
    rows.forEach((row, index) => {
      if (!tools.matches(row)) return;
      buckets[isRanked ? (row[STATE] === "asking" ? 0 : RANKS[styleOf(row[STATE])[1]] ?? 3) : 0].push(index);
    });
    this.order = buckets.flat();
    this.stale = false;
  }

  showFromTop() {
    this.grid.scrollTop = 0;
    this.arrange();
    this.part.scheduleDraw();
  }

  draw() {
    if (this.stale && !this.part.busy) this.arrange();
    const n = this.order.length;
    const height = Math.min(n, MAX_ROWS) * ROW_PX;
    if (this.height !== height) this.grid.style.height = `${(this.height = height)}px`;
    if (this.total !== n) {
      this.space.style.height = `${(this.total = n) * ROW_PX}px`;
      this.grid.setAttribute("aria-rowcount", n + 1);
    }
    setText(this.nothing, n ? "" : this.part.rows.length ? "No matches." : this.part.head.empty || "");
    setText(this.hint, this.part.head.estimate_hint || "");
    // The scroller may still stand where there are no longer any rows.
    const first = Math.max(0, Math.min(Math.floor(this.grid.scrollTop / ROW_PX), n - MAX_ROWS) - 2);
    const last = Math.min(n, first + MAX_ROWS + 5);
    for (let i = first; i < last; i++) this.drawRow(this.rowNode(i - first), i, this.part.rows[this.order[i]]);
    for (let spare = last - first; spare < this.slots.length; spare++) this.slots[spare].hidden = true;
  }

  rowNode(number) {
    while (this.slots.length <= number) {
      const row = element("div", "cpr-row", "", { role: "row" });
      for (const name of ["n mute", "", "", "cpr-now", "cpr-node mute", "n", "n", "n"]) row.append(element("span", name, "", { role: "gridcell" }));
      row.children[3].append(element("span", "warn"), element("span"), element("span", "mute"));
      this.slots.push(row);
      this.space.append(row);
    }
    return this.slots[number];
  }

  drawRow(node, position, row) {
    const [num, state, title, , machine, time, tokens, cost] = node.children;
    const [symbol, tone] = styleOf(row[STATE]);
    const isChosen = row[KEY] === this.cursor;
    if (node.hidden) node.hidden = false;
    if (node.dataset.position !== String(position)) {
      node.dataset.position = position;
      node.id = `${this.part.domId}-${position}`;
      node.style.top = `${position * ROW_PX}px`;
      node.setAttribute("aria-rowindex", position + 2);
    }
    if (node.getAttribute("aria-selected") !== String(isChosen)) node.setAttribute("aria-selected", isChosen);
    setClass(node, `cpr-row${isChosen ? " cpr-chosen" : ""}`);
    if (isChosen) this.grid.setAttribute("aria-activedescendant", node.id);
    setText(num, String(row[NUM]));
    setText(state, `${symbol} ${row[STATE]}`);
    setClass(state, tone);
    setText(title, row[TITLE]);
    setTitle(title, row[TITLE]);
    this.drawNow(node.children[3], row, tone);
    setText(machine, row[NODE]);
    setTitle(machine, row[NODE]);
    setText(time, clock(row[STARTED] ? this.part.time_s - row[STARTED] : row[DURATION]));
    const about = row[ESTIMATED] ? "≈ " : "";
    setText(tokens, row[TOKENS] ? about + shortCount(row[TOKENS]) : "");
    setText(cost, row[COST] === null ? "" : about + dollars(row[COST]));
    setClass(tokens, about ? "n mute" : "n");
    setClass(cost, about ? "n mute" : "n");
  }

  // The seconds of a step stand apart from its text: an ellipsis never eats them.
  drawNow(node, row, tone) {
    const [warning, now, seconds] = node.children;
    const isSilent = row[STARTED] && (this.part.head.silent || []).includes(row[NODE]);
    setText(warning, isSilent ? `⚠ ${row[NODE]} is silent` : row[DENIED] ? `⚠ ${row[DENIED]} denied` : "");
    setText(now, isSilent && row[NOW] ? `last: ${row[NOW]}` : row[NOW]);
    setClass(now, `cpr-step-text ${tone === "bad" ? "bad" : row[STARTED] && !isSilent ? "" : "mute"}`);
    setText(seconds, row[SINCE] && !isSilent ? `${Math.max(0, Math.floor(this.part.time_s - row[SINCE]))} s` : "");
    setTitle(node, row[NOW]);
  }

  // -- keyboard, opening ------------------------------------------------------------------------

  get cursorPosition() { return this.order.findIndex((index) => this.part.rows[index][KEY] === this.cursor); }

  onKey(event) {
    const position = this.cursorPosition, { viewer } = this.part;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: MAX_ROWS, PageUp: -MAX_ROWS, Home: -Infinity, End: Infinity };
    if (event.key in steps && this.order.length) {
      const target = Math.min(this.order.length - 1, Math.max(0, position + steps[event.key]));
      this.cursor = this.part.rows[this.order[target]][KEY];
      this.scrollToCursor();
      if (viewer.key !== null) this.open(this.cursor);
    } else if ((event.key === "Enter" || event.key === " ") && position >= 0) {
      this.toggle(this.cursor);
    } else if (event.key === "Escape" && viewer.key === null) {
      this.cursor = null;
      this.grid.blur();
    } else return;
    event.preventDefault();
    if (event.key !== "Escape") event.stopPropagation();
    this.part.scheduleDraw();
  }

  scrollToCursor() {
    const top = this.cursorPosition * ROW_PX;
    const low = top + ROW_PX - this.grid.clientHeight;
    if (top >= 0) this.grid.scrollTop = Math.min(top, Math.max(low, this.grid.scrollTop));
    this.part.scheduleDraw();
  }

  jumpTo(key) {
    this.cursor = key;
    this.arrange();
    this.scrollToCursor();
    this.open(key);
  }

  toggle(key) { if (this.part.viewer.key === key) this.part.close(); else this.open(key); }

  open(key) {
    this.cursor = key;
    if (this.part.kind === "tasks") this.part.viewer.open(this.part.rows.find((row) => row[KEY] === key));
    this.part.send({ type: "open", key });
    this.part.scheduleDraw();
  }
}
