// Where a view is drawn. The widget is not displayed: this finds the mounts of its id in the page,
// which may leave and come back, and draws there what a living kernel has sent.

function applyChanges(rows, changes) {
  for (const change of changes) {
    const row = rows[change[0]];
    for (let i = 1; row && i < change.length; i += 2) row[change[i]] = change[i + 1];
  }
}

// What the kernel has told of one view. All its mounts draw from it.
class Store {
  constructor(model) {
    Object.assign(this, { model, viewId: model.get("view_id"), id: Math.random().toString(36).slice(2) });
    Object.assign(this, { parts: null, clockOffset_s: 0, views: new Map(), isShown: false, lastMessageAt: Date.now() });
    this.given = new Set();  // mounts that the frontend has made
    this.mounts = document.getElementsByClassName(`cpr-view-${this.viewId}`);
    this.onCustom = (message) => this.onMessage(message);
    this.onComm = () => this.restart();
    model.on("msg:custom", this.onCustom);
    model.on("comm_live_update", this.onComm);
    this.observer = new MutationObserver(() => this.place());
    this.observer.observe(document.body, { childList: true, subtree: true });
    this.timer = setInterval(() => this.everySecond(), 1000);
    this.send({ type: "loaded" });
  }

  send(message) {
    try {
      this.model.send({ ...message, id: this.id });
      return true;
    } catch (error) {  // the kernel was restarted: the comm is closed
      return false;
    }
  }

  // The comm has come or gone. Draw nothing until a kernel has answered again.
  restart() {
    this.parts = null;
    this.clear();
    this.send({ type: "loaded" });
  }

  clear() {
    for (const [mount, view] of this.views) { view.pause(); mount.replaceChildren(); delete mount.cprView; }
    this.views.clear();
  }

  close() {
    clearInterval(this.timer);
    this.observer.disconnect();
    this.model.off("msg:custom", this.onCustom);
    this.model.off("comm_live_update", this.onComm);
    this.clear();
  }

  onMessage(message) {
    this.lastMessageAt = Date.now();
    const offset = message.now - Date.now() / 1000;  // the kernel may have another clock
    this.clockOffset_s = Math.abs(offset) > 2 ? offset : 0;
    for (const view of this.views.values()) view.showConnected();
    if (message.parts) {
      this.parts = new Map(message.parts.map((data) => [data.id, data]));
      this.place();
      for (const view of this.views.values()) view.setParts();
      return;
    }
    const data = this.parts && this.parts.get(message.part);
    if (!data) return;
    if (message.rows) applyChanges(data.rows, message.rows);
    if (message.all) data.rows = message.all;
    if (message.head) data.head = message.head;
    for (const view of this.views.values()) view.onMessage(message);
  }

  // Draws in mounts that have come, and stops drawing in those that have left.
  place() {
    if (!this.parts) return;
    for (const mount of [...this.mounts, ...this.given]) {
      if (!mount.cprView) mount.cprView = new View(this, mount);
      this.add(mount, mount.cprView);
    }
    for (const [mount, view] of this.views) if (!mount.isConnected) { view.pause(); this.views.delete(mount); }
    this.tellIfShown();
  }

  add(mount, view) {
    if (this.views.has(mount)) return;
    this.views.set(mount, view);
    view.setParts();
    view.reopen();
  }

  give(mount) {
    this.given.add(mount);
    if (!this.parts) mount.innerHTML = this.model.get("card");  // escaped where it was made
    this.place();
    return () => { this.given.delete(mount); this.place(); };
  }

  tellIfShown() {
    const isShown = this.views.size > 0;
    if (isShown && !this.isShown) this.lastMessageAt = Date.now();  // a hidden view is told nothing
    if (this.isShown !== isShown) this.send({ type: (this.isShown = isShown) ? "shown" : "hidden" });
  }

  everySecond() {
    const isSilent = Date.now() - this.lastMessageAt > SILENT_MS;
    for (const view of this.views.values()) view.everySecond(isSilent);
  }
}

// One drawing of a view, in one mount.
class View {
  constructor(store, mount) {
    Object.assign(this, { store, parts: new Map() });
    this.root = element("div", "cpr-box");
    const hideCard = element("style", "", `.cpr-card-of-${store.viewId}{display:none}`);
    mount.replaceChildren(hideCard, this.root);
  }

  setParts() {
    const { parts } = this.store;
    for (const [id, part] of this.parts) if (!parts.has(id)) { part.root.remove(); this.parts.delete(id); }
    for (const [id, data] of parts) {
      const part = this.parts.get(id);
      if (part) part.reset(data);
      else {
        this.parts.set(id, new Part(this, data));
        this.root.append(this.parts.get(id).root);
      }
    }
  }

  onMessage(message) {
    const part = this.parts.get(message.part);
    if (part) part.onMessage(message);
  }

  everySecond(isSilent) {
    for (const part of this.parts.values()) {
      if (isSilent && part.head.live) part.tools.showDisconnected();
      part.everySecond();
    }
  }

  showConnected() { for (const part of this.parts.values()) part.tools.showConnected(); }

  // What a viewer shows may be old after a pause.
  reopen() {
    for (const part of this.parts.values()) if (part.viewer.key) part.table.open(part.viewer.key);
  }

  pause() { for (const part of this.parts.values()) part.pause(); }
}

const stores = new Map();

export default {
  initialize({ model }) {
    const store = new Store(model);
    stores.set(store.viewId, store);
    return () => { store.close(); stores.delete(store.viewId); };
  },
  // Where the frontend displays the widget, that place is a mount too.
  render({ model, el }) {
    return stores.get(model.get("view_id")).give(el);
  },
};
