// What stands above the table of a session: its state, the bar, the figures, one notice at a time.
const BAR_MOST = 40;  // with more tasks, the mosaic takes the place of the bar

class Head {
  constructor(part) {
    this.part = part;
    this.line = element("div", "row head");
    this.progress = element("div", "prog");
    this.bar = element("div", "bar", "", { role: "img" });
    this.ended = element("b");
    this.progress.append(this.bar, this.ended);
    this.mosaic = element("div", "cpr-mosaic", "", { role: "img" });
    this.figures = element("div", "figs");
    this.notices = element("div", "", "", { role: "status" });
    this.machines = element("div", "nodes");
    this.nodes = [this.line, this.progress, this.mosaic, this.figures, this.machines, this.notices];
    this.cells = [];
    this.shown = 0;  // which notice
    this.mosaic.addEventListener("click", (event) => {
      const row = this.part.rows[this.cells.indexOf(event.target)];
      if (row) this.part.table.jumpTo(row[KEY]);
    });
  }

  reset() {
    const isLong = this.part.rows.length > BAR_MOST && this.part.kind === "tasks";
    this.cells = isLong ? this.part.rows.map(() => element("i")) : [];
    this.mosaic.replaceChildren(...this.cells);
    this.mosaic.hidden = !isLong;
    this.progress.hidden = isLong || this.part.kind !== "tasks" || !this.part.rows.length;
  }

  draw() {
    const { head } = this.part;
    const [symbol, tone] = styleOf(head.state);
    fill(this.line, [head.state, head.foreign, head.name, head.short, head.folder], () => {
      const parts = head.state ? [element("b", tone, `${symbol} ${head.state}`)] : [];
      if (head.foreign) parts.push(element("span", "mute", "foreign"));
      if (head.name) parts.push(element("b", "", head.name));
      if (head.short) parts.push(element("code", "mute", head.short));
      return [...parts, element("code", "mute grow r", head.folder, { title: head.folder })];
    });
    this.drawFigures();
    this.drawMachines();
    this.drawNotices();
    this.part.root.classList.toggle("cpr-with-nodes", Boolean(head.has_nodes));
  }

  // The bar says with its shape what its colours say: solid, hollow, dashed, a hairline.
  drawProgress(dirty) {
    const { counts } = this.part;
    const shape = GROUPS.tasks.map(([name]) => [name, counts.get(name) || 0]).filter(([, n]) => n);
    fill(this.bar, shape, () => shape.map(([name, n]) => {
      const kind = name === "pending" ? "rest" : name === "cancelled" || name === "skipped" ? "mute" : styleOf(name)[1];
      return element("i", kind, "", { style: `flex:${n} 1 0` });
    }));
    const label = this.label(shape);
    if (this.bar.getAttribute("aria-label") !== label) this.bar.setAttribute("aria-label", label);
    setText(this.ended, this.endedText());
    for (const index of this.cells.length ? dirty : []) {
      const row = this.part.rows[index];
      const [, tone] = styleOf(row[STATE]);
      setClass(this.cells[index], row[STATE] === "pending" ? "rest" : tone);
      setTitle(this.cells[index], `${row[NUM]} ${row[STATE]}: ${row[TITLE]}`);
    }
    if (this.cells.length && this.mosaic.getAttribute("aria-label") !== label) this.mosaic.setAttribute("aria-label", label);
    this.drawFigures();
  }

  label(shape) {
    const list = (names) => shape.filter(([name]) => names.includes(name)).map(([name, n]) => `${n} ${name}`).join(", ");
    const ended = list(["succeeded", "failed", "cancelled", "skipped"]);
    const underWay = list(["running", "asking"]), rest = list(["pending"]);
    return [`${this.endedText("tasks ")}${ended ? `: ${ended}` : ""}`, underWay && `Under way: ${underWay}`, rest].filter(Boolean).join(". ");
  }

  endedText(noun = "") {
    const { counts, rows } = this.part;
    const under = ["running", "asking", "pending"].reduce((sum, name) => sum + (counts.get(name) || 0), 0);
    return `${rows.length - under} of ${rows.length} ${noun}ended`;
  }

  // Pieces that do not break, each with its important words first.
  drawFigures() {
    const { head } = this.part;
    const pieces = [...(head.figures || [])];
    if (this.cells.length) pieces.unshift([this.endedText(), ""]);
    fill(this.figures, pieces, () => pieces.flatMap(([strong, rest], index) => {
      const node = element("span", "nb");
      if (strong) node.append(element("b", "", strong), rest ? " " : "");
      node.append(rest);
      return index ? [" · ", node] : [node];
    }));
  }

  // The nodes of the session: how busy each is; the silent one last, with what will happen and when.
  drawMachines() {
    const pieces = this.part.head.nodes || [];
    fill(this.machines, pieces, () => pieces.map((piece) => {
      const node = element("span"), isBad = piece.tone === "warn";
      const name = [piece.symbol, piece.name].filter(Boolean).join(" ");
      if (isBad) node.append(element("b", "warn", name), " ");
      else if (name) node.append(element("span", piece.tone, piece.symbol), ` ${piece.name} `);
      node.append(element("span", isBad ? "" : "mute"));
      return node;
    }));
    this.drawMachineTimes();
  }

  drawMachineTimes() {
    const now = this.part.time_s;
    (this.part.head.nodes || []).forEach((piece, index) => {
      const words = [
        piece.silent_at_s !== null && `silent for ${clock(now - piece.silent_at_s)}`,
        piece.text && [piece.text, piece.moves_at_s !== null && clock(piece.moves_at_s - now), piece.ends].filter(Boolean).join(" "),
      ];
      setText(this.machines.children[index].lastChild, words.filter(Boolean).join(" · "));
    });
  }

  drawNotices() {
    const { stopped, head } = this.part;
    const notices = stopped ? [[stopped, "", ""]] : head.notices || [];
    const shown = notices.length ? this.shown % notices.length : 0;
    fill(this.notices, [notices, shown], () => notices.slice(shown, shown + 1).map(([cause, rest, command]) => {
      const node = element("div", "note");
      node.append(element("b", "", cause));
      if (rest) node.append(" ", ...withCommands(rest));
      if (command) node.append(" ", element("code", "", command));
      const others = notices.length - 1;
      if (others) node.append(" ", button(`${shown + 1} of ${notices.length}, next`, () => { this.shown = shown + 1; this.drawNotices(); this.notices.querySelector("button").focus(); }, { "data-verb": "next-notice" }));
      return node;
    }));
  }
}
