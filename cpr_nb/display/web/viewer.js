// The output of one task, below the table: answer, steps, diff, prompt, errors. It asks the kernel
// for what it shows, in pieces.
const TABS = ["answer", "steps", "diff", "prompt", "errors"];
const NAMES = { answer: "Answer", steps: "Steps", diff: "Diff", prompt: "Prompt", errors: "Errors" };

class Viewer {
  constructor(table) {
    Object.assign(this, { table, key: null, tab: "answer", chosen: false, texts: {}, steps: new Map(), opened: new Set() });
    this.root = make("section", "cpr-out", "", { "aria-label": "Output" });
    this.title = make("div", "cpr-out-title");
    this.bar = make("div", "cpr-tabs", "", { role: "tablist" });
    this.body = make("div", "cpr-body", "", { role: "tabpanel", tabindex: "0" });
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.hidden = true;
    this.root.append(this.title, this.bar, this.body);
    this.bar.addEventListener("keydown", (event) => this.arrows(event));
    this.body.addEventListener("scroll", () => {
      this.follows = this.body.scrollHeight - this.body.scrollTop - this.body.clientHeight < 24;
    });
    for (const name of TABS) {
      this.bar.append(button(NAMES[name], () => this.choose(name), { role: "tab", "data-tab": name }));
    }
  }

  open(row) {
    if (!row) return;
    Object.assign(this, { key: row[KEY], follows: true, steps: new Map(), opened: new Set(), texts: {}, info: {}, first: 0 });
    const running = this.table.look(row[WORD])[1] === "run";
    if (!this.chosen) this.tab = running ? "steps" : this.table.look(row[WORD])[1] === "bad" ? "errors" : "answer";
    this.root.hidden = false;
    this.late = setTimeout(() => { if (!this.info.key) this.wait(row); }, ANSWER_MS);
    this.drawTitle(row);
    this.drawTabs();
    this.body.replaceChildren(make("div", "mute", "…"));
  }

  wait(row) {
    this.body.replaceChildren(
      make("div", "warn", "The kernel computes: this opens after the cell. In a terminal, at once:"),
      make("code", "", `cpr logs ${this.table.meta.short} --task ${row[NUM]}`),
      make("pre", "", row[TITLE]), make("pre", "mute", row[NOW]));
  }

  close() {
    clearTimeout(this.late);
    this.key = null;
    this.root.hidden = true;
  }

  ask(what) { this.table.send({ ...what, key: this.key }); }

  drawTitle(row) {
    const [symbol, tone] = this.table.look(row[WORD]);
    const parts = [make("b", tone, `${symbol} ${row[WORD]}`), make("b", "", `task ${row[NUM]}`, { title: row[KEY] }), make("span", "cpr-grow")];
    if (this.info && this.info.cancel) {
      parts.push(make("code", "mute", this.info.cancel));
      parts.push(button("Cancel task", () => this.table.click("cancel", this.key, this.info.cancel), { "data-verb": "cancel-task" }));
    }
    parts.push(button("Close", () => this.table.close(), { title: "Esc", "data-verb": "close" }));
    const shape = parts.map((part) => part.textContent).join("|");
    if (this.shape !== shape) this.title.replaceChildren(...parts);
    this.shape = shape;
  }

  drawTabs() {
    const tabs = this.info.tabs || {};
    for (const node of this.bar.children) {
      const name = node.dataset.tab;
      say(node, `${NAMES[name]}${tabs[name] ? ` ${tabs[name]}` : ""}`);
      node.setAttribute("aria-selected", name === this.tab);
      node.tabIndex = name === this.tab ? 0 : -1;
      node.classList.toggle("mute", tabs[name] === "" && name !== this.tab);
    }
  }

  arrows(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const to = TABS[(TABS.indexOf(this.tab) + step + TABS.length) % TABS.length];
    this.choose(to);
    this.bar.querySelector(`[data-tab=${to}]`).focus();
  }

  choose(name) {
    this.tab = name;
    this.chosen = this.follows = true;
    this.drawTabs();
    this.drawBody();
  }

  // -- what the kernel sends --------------------------------------------------------------------

  take(view) {
    if (view.key !== this.key) return;
    clearTimeout(this.late);
    const isFirst = !this.info.key;
    if (view.info) {
      this.info = { ...view.info, key: view.key };
      const row = this.table.rows.find((one) => one[KEY] === this.key);
      if (row) this.drawTitle(row);
      this.drawTabs();
    }
    if (view.text) this.takeText(view.text);
    if (view.steps) { for (const step of view.steps) this.steps.set(step.n, step); this.first = view.first; }
    if (isFirst || (view.text && view.text.name === this.tab)) this.drawBody();
    else if (this.tab === "steps") {
      if (view.steps) this.drawSteps(view.steps);
      if (view.text && view.text.name.startsWith("step-")) this.drawStepText(view.text.name);
    }
  }

  takeText({ name, text, at, total }) {
    const known = this.texts[name];
    const had = known && at > 0 ? known.text.slice(0, at) : "";
    this.texts[name] = { text: had + text, total };
  }

  // -- drawing ----------------------------------------------------------------------------------

  drawBody() {
    if (this.tab === "steps") {
      this.list = make("div", "cpr-steps");
      this.body.replaceChildren(this.list);
      this.drawSteps([...this.steps.keys()].sort((a, b) => a - b).map((n) => this.steps.get(n)));
    } else {
      const known = this.texts[this.tab];
      const top = this.body.scrollTop;
      const pre = known && this.tab === "diff" ? this.diff(known.text) : make("pre", "", known ? known.text : "");
      this.body.replaceChildren(known && known.total ? pre : make("div", "mute", known ? this.info.empty[this.tab] : "…"));
      this.more(this.body, this.tab);
      this.body.scrollTop = top;
    }
  }

  more(node, name) {
    const known = this.texts[name];
    if (!known || known.text.length >= known.total) return;
    const left = known.total - known.text.length;
    node.append(button(`Show more (${left.toLocaleString("en")} characters left)`,
      () => this.ask({ do: "more", name, at: known.text.length }), { "data-more": name }));
  }

  diff(text) {
    const pre = make("pre", "cpr-diff");
    for (const line of text.split("\n")) {
      const kind = /^(\+\+\+|---|diff |index )/.test(line) ? "mute" : { "+": "cpr-plus", "-": "cpr-minus", "@": "run" }[line[0]] || "";
      pre.append(make("span", kind, `${line}\n`));
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
      this.body.prepend(button(`Show earlier (${this.first})`, () => this.ask({ do: "earlier", before: this.first }), { "data-earlier": "" }));
    }
    if (!this.steps.size) this.list.replaceChildren(make("div", "mute", this.info.empty.steps));
    else if (this.list.firstChild && !this.list.firstChild.dataset.n) this.list.firstChild.remove();
    if (this.follows) this.body.scrollTop = this.body.scrollHeight;
  }

  stepNode(step) {
    const node = make("div", "cpr-step", "", { "data-n": step.n });
    const line = make("button", "cpr-line", "", { type: "button", "aria-expanded": "false" });
    line.append(make("span", "cpr-at mute"), make("b", "cpr-tool"), make("span", "cpr-grow"), make("span"));
    line.addEventListener("click", () => {
      if (!step.parts.length && !this.steps.get(step.n).parts.length) return;
      const open = !this.opened.delete(step.n);
      if (open) this.opened.add(step.n);
      this.drawStep(node, this.steps.get(step.n));
    });
    node.append(line);
    return node;
  }

  drawStep(node, step) {
    const [at, tool, target, brief] = node.firstChild.children;
    const open = this.opened.has(step.n);
    say(at, clock(step.at));
    say(tool, step.name);
    say(target, step.target);
    say(brief, `${step.brief}${step.parts.length ? (open ? " ▾" : " ▸") : ""}`);
    look(brief, step.tone);
    node.firstChild.setAttribute("aria-expanded", open);
    while (node.children.length > 1) node.lastChild.remove();
    for (const part of open ? step.parts : []) {
      const name = `step-${step.n}-${part}`;
      const box = make("div", "cpr-part", "", { "data-part": name });
      node.append(box);
      if (this.texts[name]) this.drawStepText(name);
      else this.ask({ do: "more", name, at: 0 });
    }
  }

  drawStepText(name) {
    const box = this.body.querySelector(`[data-part="${name}"]`);
    if (!box) return;
    box.replaceChildren(make("div", "mute", name.split("-")[2]), make("pre", "", this.texts[name].text));
    this.more(box, name);
  }
}
