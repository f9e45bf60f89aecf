// The output of one task, below the table: answer, steps, diff, prompt, errors. It requests what it
// shows from the kernel, in pieces.
const TABS = ["answer", "steps", "diff", "prompt", "errors"];
const NAMES = { answer: "Answer", steps: "Steps", diff: "Diff", prompt: "Prompt", errors: "Errors" };

class Viewer {
  constructor(part) {
    Object.assign(this, { part, key: null, tab: "answer", tabChosen: false, texts: {}, steps: new Map(), expanded: new Set() });
    this.root = element("section", "cpr-out", "", { "aria-label": "Output" });
    this.title = element("div", "cpr-out-title");
    this.note = element("div", "note");
    this.tabBar = element("div", "cpr-tabs", "", { role: "tablist" });
    this.body = element("div", "cpr-body", "", { role: "tabpanel", tabindex: "0" });
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.hidden = true;
    this.root.append(this.title, this.note, this.tabBar, this.body);
    this.tabBar.addEventListener("keydown", (event) => this.arrows(event));
    this.body.addEventListener("scroll", () => {
      this.follows = this.body.scrollHeight - this.body.scrollTop - this.body.clientHeight < 24;
    });
    for (const name of TABS) {
      this.tabBar.append(button(NAMES[name], () => this.choose(name), { role: "tab", "data-tab": name }));
    }
  }

  open(row) {
    if (!row) return;
    Object.assign(this, { key: row[KEY], follows: true, steps: new Map(), expanded: new Set(), texts: {}, info: {}, first: 0 });
    const isRunning = styleOf(row[STATE])[1] === "run";
    if (!this.tabChosen) this.tab = isRunning ? "steps" : styleOf(row[STATE])[1] === "bad" ? "errors" : "answer";
    this.root.hidden = false;
    this.waitTimer = setTimeout(() => { if (!this.info.key) this.showWaiting(row); }, ANSWER_MS);
    this.drawTitle(row);
    this.drawNote();
    this.drawTabs();
    this.body.replaceChildren(element("div", "mute", "…"));
  }

  showWaiting(row) {
    this.body.replaceChildren(
      element("div", "warn", `${BUSY} This opens afterwards. To read it now, in a terminal:`),
      element("code", "", `cpr logs ${this.part.head.short} --task ${row[NUM]}`),
      element("pre", "", row[TITLE]), element("pre", "mute", row[NOW]));
  }

  close() {
    clearTimeout(this.waitTimer);
    this.key = null;
    this.root.hidden = true;
  }

  send(message) { this.part.send({ ...message, key: this.key }); }

  drawTitle(row) {
    const [symbol, tone] = styleOf(row[STATE]);
    const parts = [element("b", tone, `${symbol} ${row[STATE]}`), element("b", "", `task ${row[NUM]}`, { title: row[KEY] }), element("span", "cpr-grow")];
    if (this.info && this.info.cancel) {
      parts.push(element("code", "mute", this.info.cancel));
      parts.push(button("Cancel task", () => this.part.tools.confirm("cancel", this.key, this.info.cancel), { "data-verb": "cancel-task" }));
    }
    parts.push(button("Close", () => this.part.close(), { title: "Esc", "data-verb": "close" }));
    const shape = parts.map((part) => part.textContent).join("|");
    if (this.shape !== shape) this.title.replaceChildren(...parts);
    this.shape = shape;
  }

  drawNote() {
    setText(this.note, this.info.note || "");
    this.note.hidden = !this.info.note;
  }

  drawTabs() {
    const tabs = this.info.tabs || {};
    for (const node of this.tabBar.children) {
      const name = node.dataset.tab;
      setText(node, `${NAMES[name]}${tabs[name] ? ` ${tabs[name]}` : ""}`);
      node.setAttribute("aria-selected", name === this.tab);
      node.tabIndex = name === this.tab ? 0 : -1;
      node.classList.toggle("mute", tabs[name] === "" && name !== this.tab);
    }
  }

  arrows(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const target = TABS[(TABS.indexOf(this.tab) + step + TABS.length) % TABS.length];
    this.choose(target);
    this.tabBar.querySelector(`[data-tab=${target}]`).focus();
  }

  choose(name) {
    this.tab = name;
    this.tabChosen = this.follows = true;
    this.drawTabs();
    this.drawBody();
  }

  // -- what the kernel sends --------------------------------------------------------------------

  onMessage(message) {
    if (message.key !== this.key) return;
    clearTimeout(this.waitTimer);
    const isFirst = !this.info.key;
    if (message.info) {
      this.info = { ...message.info, key: message.key };
      const row = this.part.rows.find((other) => other[KEY] === this.key);
      if (row) this.drawTitle(row);
      this.drawNote();
      this.drawTabs();
    }
    if (message.text) this.storeText(message.text);
    if (message.steps) { for (const step of message.steps) this.steps.set(step.n, step); this.first = message.first; }
    if (isFirst || (message.text && message.text.name === this.tab)) this.drawBody();
    else if (this.tab === "steps") {
      if (message.steps) this.drawSteps(message.steps);
      if (message.text && message.text.name.startsWith("step-")) this.drawStepText(message.text.name);
    }
  }

  storeText({ name, text, offset, total, tree }) {
    const before = this.texts[name] && offset > 0 ? this.texts[name].text.slice(0, offset) : "";
    this.texts[name] = { text: before + text, total, tree };
  }

  // -- drawing ----------------------------------------------------------------------------------

  drawBody() {
    if (this.tab === "steps") {
      this.list = element("div", "cpr-steps");
      this.body.replaceChildren(this.list);
      this.drawSteps([...this.steps.keys()].sort((a, b) => a - b).map((n) => this.steps.get(n)));
    } else {
      const stored = this.texts[this.tab];
      const top = this.body.scrollTop;
      this.body.replaceChildren(stored && stored.total ? this.textNode(stored) : element("div", "mute", stored ? this.info.empty[this.tab] : "…"));
      this.addMoreButton(this.body, this.tab);
      this.body.scrollTop = top;
    }
  }

  textNode({ text, tree }) {
    if (this.tab === "diff") return this.diff(text);
    if (!tree) return element("pre", "", text);
    const shown = element("div");
    const label = this.isRaw ? "Formatted" : "Raw text";
    const toggle = () => { this.isRaw = !this.isRaw; this.drawBody(); this.body.querySelector("[data-verb=raw]").focus(); };
    shown.append(this.isRaw ? element("pre", "", text) : answerElement(tree), button(label, toggle, { "data-verb": "raw" }));
    return shown;
  }

  addMoreButton(node, name) {
    const stored = this.texts[name];
    if (!stored || stored.text.length >= stored.total) return;
    const left = stored.total - stored.text.length;
    node.append(button(`Show more (${left.toLocaleString("en")} ${left === 1 ? "character" : "characters"} left)`,
      () => this.send({ type: "more", name, offset: stored.text.length }), { "data-more": name }));
  }

  diff(text) {
    const pre = element("pre", "cpr-diff");
    for (const line of text.split("\n")) {
      const kind = /^(\+\+\+|---|diff |index )/.test(line) ? "mute" : { "+": "cpr-plus", "-": "cpr-minus", "@": "run" }[line[0]] || "";
      pre.append(element("span", kind, `${line}\n`));
    }
    return pre;
  }

  drawSteps(steps) {
    if (!this.list) return;
    for (const step of steps) {
      let node = this.list.querySelector(`[data-n="${step.n}"]`);
      if (!node) {
        node = this.stepNode(step);
        const next = [...this.list.children].find((other) => Number(other.dataset.n) > step.n);
        this.list.insertBefore(node, next || null);
      }
      this.drawStep(node, step);
    }
    const old = this.body.querySelector("[data-earlier]");
    if (old) old.remove();
    if (this.first > 0) {
      this.body.prepend(button(`Show earlier steps (${this.first})`, () => this.send({ type: "earlier", before: this.first }), { "data-earlier": "" }));
    }
    if (!this.steps.size) this.list.replaceChildren(element("div", "mute", this.info.empty.steps));
    else if (this.list.firstChild && !this.list.firstChild.dataset.n) this.list.firstChild.remove();
    if (this.follows) this.body.scrollTop = this.body.scrollHeight;
  }

  stepNode(step) {
    const node = element("div", "cpr-step", "", { "data-n": step.n });
    const line = element("button", "cpr-line", "", { type: "button", "aria-expanded": "false" });
    line.append(element("span", "cpr-time mute"), element("b", "cpr-tool"), element("span", "cpr-grow"), element("span"));
    line.addEventListener("click", () => {
      if (!step.parts.length && !this.steps.get(step.n).parts.length) return;
      const isOpen = !this.expanded.delete(step.n);
      if (isOpen) this.expanded.add(step.n);
      this.drawStep(node, this.steps.get(step.n));
    });
    node.append(line);
    return node;
  }

  drawStep(node, step) {
    const [time, tool, target, brief] = node.firstChild.children;
    const isOpen = this.expanded.has(step.n);
    setText(time, clock(step.time_s));
    setText(tool, step.name);
    setText(target, step.target);
    setText(brief, `${step.brief}${step.parts.length ? (isOpen ? " ▾" : " ▸") : ""}`);
    setClass(brief, step.tone);
    node.firstChild.setAttribute("aria-expanded", isOpen);
    while (node.children.length > 1) node.lastChild.remove();
    for (const part of isOpen ? step.parts : []) {
      const name = `step-${step.n}-${part}`;
      const box = element("div", "cpr-part", "", { "data-part": name });
      node.append(box);
      if (this.texts[name]) this.drawStepText(name);
      else this.send({ type: "more", name, offset: 0 });
    }
  }

  drawStepText(name) {
    const box = this.body.querySelector(`[data-part="${name}"]`);
    if (!box) return;
    box.replaceChildren(element("div", "mute", name.split("-")[2]), element("pre", "", this.texts[name].text));
    this.addMoreButton(box, name);
  }
}
