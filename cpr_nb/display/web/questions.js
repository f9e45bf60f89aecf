// The questions of agents that wait for a person: one in full, the others as one line each.
class Questions {
  constructor(part) {
    Object.assign(this, { part, open: null, isHidden: false, sent: new Set(), announced: new Set() });
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
    fill(this.list, [all, this.open, this.isHidden, [...this.sent]], () =>
      this.isHidden ? [] : all.map((question, index) => (question.key === this.open ? this.inFull(question, index) : this.inShort(question))));
    this.drawTimes();
  }

  drawTitle() {
    const n = this.all.length;
    fill(this.title, [n, this.isHidden], () => [
      element("b", "warn", `◆ ${plural(n, "question")}`),
      element("span", "cpr-grow", n === 1 ? "The task is waiting for you." : n === 2 ? "Both tasks are waiting for you." : `${n} tasks are waiting for you.`),
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

  inFull(question, index) {
    const node = element("div", "cpr-ask", "", { "data-question": question.key });
    const row = this.part.rows.find((other) => other[KEY] === question.task_id);
    const title = element("div", "cpr-ask-row");
    title.append(element("b", "", `Task ${question.task_num} ${question.wants}`), element("span", "cpr-grow mute", row ? row[TITLE] : ""), element("span", "mute", this.all.length > 1 ? `${index + 1} of ${this.all.length}` : ""));
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
