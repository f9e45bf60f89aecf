// The counters that filter, the search, the buttons and what became of a click.
const LABELS = { retry: "Retry", pause: "Pause", resume: "Resume", cancel: "Cancel" };

class Tools {
  constructor(part) {
    Object.assign(this, { part, filters: new Set(), search: "", chipNodes: new Map() });
    this.root = element("div", "cpr-tools");
    this.chips = element("div", "cpr-chips", "", { role: "group", "aria-label": "Show only" });
    this.input = element("input", "cpr-search", "", { type: "search", placeholder: "Search", "aria-label": "Search" });
    this.input.dataset.lmSuppressShortcuts = "true";
    this.actions = element("div", "cpr-chips", "", { role: "group", "aria-label": "Actions" });
    this.root.append(this.chips, this.input, this.actions);
    this.action = element("div", "cpr-action", "", { role: "status" });
    this.nodes = [this.root, this.action];
    this.input.addEventListener("input", () => this.searchFor(this.input.value));
    this.input.addEventListener("keydown", (event) => { if (event.key === "Escape") this.searchFor((this.input.value = "")); });
  }

  matches(row) {
    const isShown = this.filters.size === 0 || [...this.filters].some((name) =>
      name === "denied" ? row[DENIED] > 0 : (this.part.groups.find((group) => group[0] === name) || [0, []])[1].includes(row[STATE]));
    return isShown && (!this.search || `${row[NUM]} ${row[KEY]} ${row[STATE]} ${row[TITLE]} ${row[NOW]}`.toLowerCase().includes(this.search));
  }

  filter(name) {
    if (!this.filters.delete(name)) this.filters.add(name);
    this.drawChips();
    this.part.table.showFromTop();
  }

  searchFor(text) {
    this.search = text.trim().toLowerCase();
    this.part.table.showFromTop();
  }

  drawChips() {
    const { counts, rows } = this.part;
    const chips = this.part.groups.map(([name, , always]) => [name, counts.get(name) || 0, always, ...styleOf(name)]);
    chips.push(["denied", counts.get("denied") || 0, false, "⚠", "warn"]);
    this.chips.hidden = !rows.length;
    for (const [name, n, always, symbol, tone] of chips) {
      let node = this.chipNodes.get(name);
      if (!node) {
        node = button("", () => this.filter(name), { "data-name": name });
        node.append(element("span", tone, `${symbol} `), element("span", "", String(n)), ` ${name}`);
        this.chipNodes.set(name, node);
        this.chips.append(node);
      }
      node.hidden = !n && !always && !this.filters.has(name);
      const pressed = String(this.filters.has(name));
      if (node.getAttribute("aria-pressed") !== pressed) node.setAttribute("aria-pressed", pressed);
      setText(node.children[1], String(n));
    }
    const retry = this.actions.querySelector("[data-verb=retry]");
    if (retry) setText(retry, this.retryLabel());
  }

  drawActions() {
    const commands = this.part.head.commands || {};
    fill(this.actions, commands, () => Object.keys(commands).map((verb) => button(
      LABELS[verb], () => this.confirm(verb), { "data-verb": verb, title: commands[verb] })));
    this.drawChips();
  }

  // How many tasks are in these groups, such as failed and cancelled.
  countOf(groups) { return groups.reduce((total, name) => total + (this.part.counts.get(name) || 0), 0); }

  // Says what a retry would run: "Retry failed (3)", or "Retry not succeeded (5)" for a mixture.
  retryLabel() {
    const groups = RETRYABLE.filter((name) => this.part.counts.get(name));
    return `${LABELS.retry} ${groups.length === 1 ? groups[0] : "not succeeded"} (${this.countOf(groups)})`;
  }

  confirm(verb, key = "", command = this.part.head.commands[verb]) {
    const tasks = (groups) => plural(this.countOf(groups), "task");
    const question = key ? "Cancel this task?" : verb === "retry" ? `Run ${tasks(RETRYABLE)} again in a new session?`
      : verb === "cancel" ? `Cancel ${tasks(UNFINISHED)}?` : "";
    if (!question) { this.sendAction({ verb, key }, command); return; }
    const yes = button(verb === "retry" ? "Run again" : key ? "Cancel task" : "Cancel all", () => this.sendAction({ verb, key }, command), { "data-yes": verb });
    const no = button("No", () => this.action.replaceChildren(), { "data-no": verb });
    this.action.replaceChildren(element("span", "", question), yes, no, element("span", "mute", "The same in a terminal:"), element("code", "", command));
    yes.focus();
  }

  sendAction(message, command) {
    this.part.send({ type: "action", ...message });
    this.action.replaceChildren(element("span", "mute", "Requested …"), element("code", "mute", command));
    clearTimeout(this.answerTimer);
    this.answerTimer = setTimeout(() => {
      const text = element("span");
      text.append(element("b", "", BUSY), " Your click is queued and runs afterwards. At once, in a terminal:");
      this.action.replaceChildren(text, element("code", "", command));
    }, ANSWER_MS);
  }

  showResult({ text, code, bad }) {
    clearTimeout(this.answerTimer);
    this.action.replaceChildren(element("span", bad ? "bad" : "mute", text));
    if (code) this.action.append(element("code", "", code));
  }

  showDisconnected() {
    const { kind, head } = this.part;
    const code = kind === "tasks" ? `cpr.attach("${head.short}")` : "cpr.dashboard()";
    this.showResult({ text: "The kernel does not answer. The session keeps running. In a new cell:", code, bad: true });
    this.isDisconnected = true;
  }

  showConnected() {
    if (this.isDisconnected) this.action.replaceChildren();
    this.isDisconnected = false;
  }
}
