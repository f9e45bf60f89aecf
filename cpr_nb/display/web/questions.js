// The questions of agents that wait for a person: one in full, the others as one line each.
class Questions {
  constructor(part) {
    Object.assign(this, { part, open: null, isHidden: false, sent: new Set(), announced: new Set(), drawn: new Map() });
    this.root = element("section", "cpr-asks", "", { "aria-label": "Questions" });
    this.news = element("div", "cpr-unseen", "", { role: "status" });
    this.title = element("div", "cpr-ask-row");
    this.list = element("div");
    this.root.append(this.news, this.title, this.list);
    this.root.dataset.lmSuppressShortcuts = "true";
  }

  get all() { return this.part.head.questions || []; }

  draw() {
    const { all } = this;
    this.root.hidden = !all.length;
    if (!all.some((question) => question.key === this.open)) this.open = all.length ? all[0].key : null;
    const fresh = all.filter((question) => !this.announced.has(question.key));
    for (const question of fresh) this.announced.add(question.key);
    if (fresh.length) setText(this.news, fresh.map((q) => `Task ${q.task_num} ${q.wants}`).join(". "));
    this.drawTitle();
    this.place(this.isHidden ? [] : all.map((question) => this.nodeOf(question)));
    this.drawTimes();
  }

  // The same node as before, if it shows the same: a person may be typing in it.
  nodeOf(question) {
    const isOpen = question.key === this.open;
    const shape = JSON.stringify([question, isOpen, this.sent.has(question.key)]);
    let drawn = this.drawn.get(question.key);
    if (!drawn || drawn.shape !== shape) {
      drawn = { shape, node: isOpen ? this.inFull(question) : this.inShort(question) };
      this.drawn.set(question.key, drawn);
    }
    return drawn.node;
  }

  place(nodes) {
    for (const node of [...this.list.children]) if (!nodes.includes(node)) node.remove();
    nodes.forEach((node, index) => {
      if (this.list.children[index] !== node) this.list.insertBefore(node, this.list.children[index] || null);
      const number = node.querySelector("[data-number]");
      if (number) setText(number, nodes.length > 1 ? `${index + 1} of ${nodes.length}` : "");
    });
  }

  // An answer that was refused can be given again.
  askAgain() {
    this.sent.clear();
    this.draw();
  }

  drawTitle() {
    const n = this.all.length, nTasks = new Set(this.all.map((question) => question.task_id)).size;
    fill(this.title, [n, nTasks, this.isHidden], () => [
      element("b", "warn", `◆ ${plural(n, "question")}`),
      element("span", "cpr-grow", nTasks === 1 ? "The task is waiting for you." : nTasks === 2 ? "Both tasks are waiting for you." : `${nTasks} tasks are waiting for you.`),
      element("span", "mute", "", { "data-first": "" }),
      button(this.isHidden ? "Answer" : "Hide", () => this.toggle(), { "aria-expanded": String(!this.isHidden), "data-verb": "questions" }),
    ]);
  }

  toggle() {
    this.isHidden = !this.isHidden;
    this.draw();
    this.title.querySelector("button").focus();
  }

  inShort(question) {
    const row = element("div", "cpr-ask-row cpr-ask-line", "", { "data-question": question.key });
    row.append(element("span", "", `Task ${question.task_num} ${question.wants}`), element("code", "cpr-grow mute", question.target), this.timer(question, "denied in "));
    row.append(button("Answer", () => { this.open = question.key; this.draw(); this.list.querySelector("[data-decision]").focus(); }, { "aria-label": `Answer task ${question.task_num}` }));
    return row;
  }

  timer(question, before) {
    const node = element("span", "mute", before);
    node.append(element("b", "", "", { role: "timer", "data-expires": question.expires_at_s }));
    return node;
  }

  inFull(question) {
    const node = element("div", "cpr-ask", "", { "data-question": question.key });
    const row = this.part.rows.find((other) => other[KEY] === question.task_id);
    const title = element("div", "cpr-ask-row");
    title.append(element("b", "", `Task ${question.task_num} ${question.wants}`), element("span", "cpr-grow mute", row ? row[TITLE] : ""), element("span", "mute", "", { "data-number": "" }));
    const facts = element("dl");
    const nobody = this.timer(question, "denied in ");
    nobody.className = "";
    nobody.append(", and the task carries on without it");
    for (const [name, value] of [["It says", question.says], ["Asked because", question.because], ["Runs in", question.runs_in], ["If nobody answers", question.expires_at_s ? nobody : ""]]) {
      if (!value) continue;
      const fact = element("dd");
      fact.append(name === "Runs in" ? element("code", "", value) : value);
      facts.append(element("dt", "", name), fact);
    }
    node.append(title, element("pre", "cpr-ask-target", question.target, { tabindex: "0", "aria-label": "What it wants" }), facts, this.answers(question), this.explain(question));
    return node;
  }

  answers(question) {
    const line = element("div", "cpr-ask-answers");
    if (this.sent.has(question.key)) { line.append(element("span", "mute", "Answered …")); return line; }
    const why = element("input", "", "", { "aria-label": "Reason for denying, the agent reads it", placeholder: "why (optional, the agent reads it)" });
    const session = button("Allow in this session: ", () => this.answer(question, "session", why), { "data-decision": "session" });
    session.append(element("code", "", question.rule));
    line.append(button("Allow once", () => this.answer(question, "once", why), { "data-decision": "once" }));
    if (question.rule) line.append(session);
    line.append(button("Deny", () => this.answer(question, "deny", why), { "data-decision": "deny" }), why);
    why.addEventListener("keydown", (event) => { if (event.key === "Enter") this.answer(question, "deny", why); });
    return line;
  }

  explain(question) {
    const node = element("div", "mute");
    const n = this.part.rows.length;
    if (question.rule) node.append(element("code", "", question.rule), ` holds for the rest of this session, in ${n === 1 ? "its task" : n === 2 ? "both tasks" : `all ${n} tasks`}. `);
    if (question.rule_warning) node.append(element("b", "warn", `It ${question.rule_warning}.`), " ");
    node.append("In a terminal: ", element("code", "", this.command(question)));
    return node;
  }

  answer(question, decision, why) {
    this.sent.add(question.key);
    this.part.tools.sendAction({ verb: "answer", key: question.task_id, question: question.key, decision, why: why.value },
      `${this.command(question)} --${decision}`);
    this.draw();
    this.title.querySelector("button").focus();
  }

  command(question) { return `cpr answer ${this.part.head.short} ${question.key.slice(0, 6)}`; }

  drawTimes() {
    const left = (expires_at_s) => clock(expires_at_s - this.part.time_s);
    for (const node of this.list.querySelectorAll("[data-expires]")) setText(node, left(Number(node.dataset.expires)));
    const first = this.title.querySelector("[data-first]");
    const soonest = Math.min(...this.all.map((question) => question.expires_at_s || Infinity));
    if (first) setText(first, this.isHidden && Number.isFinite(soonest) ? `the first will be denied in ${left(soonest)}` : "");
  }
}
