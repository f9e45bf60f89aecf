// One table of a view and what belongs to it: a session, or the sessions of a directory.
let parts = 0;

class Part {
  constructor(view, data) {
    Object.assign(this, { view, data, domId: `cpr-${Math.random().toString(36).slice(2, 8)}-${++parts}` });
    Object.assign(this, { inside: false, dirty: new Set(), counts: new Map(), stopped: "" });
    this.root = element("section", "cpr cpr-live", "", { "aria-label": data.head.name || data.head.short || "Session" });
    this.head = data.head;
    this.headView = new Head(this);
    this.tools = new Tools(this);
    this.table = new Table(this);
    this.viewer = new Viewer(this);
    this.questions = new Questions(this);
    this.root.append(...this.headView.nodes, this.questions.root, ...this.tools.nodes, ...this.table.nodes, this.viewer.root);
    const on = (name, action) => this.root.addEventListener(name, action);
    on("pointerenter", () => { this.inside = true; });
    on("pointerleave", () => { this.inside = false; this.scheduleDraw(); });
    on("focusout", () => setTimeout(() => this.scheduleDraw()));
    on("keydown", (event) => { if (event.key === "Escape" && this.viewer.key) { this.close(); event.stopPropagation(); } });
    this.reset(data);
  }

  get kind() { return this.data.kind; }
  get rows() { return this.data.rows; }
  get groups() { return GROUPS[this.kind]; }
  get time_s() { return Date.now() / 1000 + this.view.store.clockOffset_s; }

  // While a person uses the table, nothing may move or vanish: rows stay in place.
  get busy() {
    return this.inside || this.root.contains(this.root.getRootNode().activeElement) || this.viewer.key !== null;
  }

  send(message) {
    if (!this.view.store.send({ ...message, part: this.data.id })) this.tools.showDisconnected();
  }

  reset(data) {
    this.data = data;
    this.head = data.head;
    this.dirty = new Set(this.rows.keys());
    this.count();
    this.headView.reset();
    this.tools.drawActions();
    this.table.reset();
    this.headView.draw();
    this.questions.draw();
    this.scheduleDraw();
  }

  onMessage(message) {
    if (message.all) { this.reset(this.data); return; }
    for (const change of message.rows || []) this.dirty.add(change[0]);
    if (message.head) {
      this.head = message.head;
      this.headView.draw();
      this.questions.draw();
      this.tools.drawActions();
    }
    if (message.result) {
      this.tools.showResult(message.result);
      if (message.result.bad) this.questions.askAgain();
    }
    if (message.stopped) { this.stopped = message.stopped; this.headView.draw(); }
    for (const output of message.output || []) this.viewer.onMessage(output);
    this.scheduleDraw();
  }

  count() {
    const byState = new Map();
    let denied = 0;
    for (const row of this.rows) { byState.set(row[STATE], (byState.get(row[STATE]) || 0) + 1); denied += row[DENIED]; }
    const sum = (states) => states.reduce((total, state) => total + (byState.get(state) || 0), 0);
    this.counts = new Map(this.groups.map(([name, states]) => [name, sum(states)]));
    this.counts.set("denied", denied);
  }

  scheduleDraw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  draw() {
    if (this.dirty.size) {
      this.table.stale = true;
      this.count();
      this.tools.drawChips();
      if (this.kind === "tasks") this.headView.drawProgress(this.dirty);
      this.dirty.clear();
    }
    this.table.draw();
  }

  pause() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  everySecond() {
    this.questions.drawTimes();
    this.headView.drawMachineTimes();
    this.scheduleDraw();
  }

  close() {
    this.send({ type: "close", key: this.viewer.key });
    this.viewer.close();
    this.table.grid.focus();
    this.scheduleDraw();
  }
}
