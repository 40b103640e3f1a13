/** One execution: what it is, why it doesn't run, its timeline, and four views below: history, children, logs, failures. */

import { executionPath, get } from "./api.js";
import { actionButtons, showWhy } from "./actions.js";
import { fill, h } from "./dom.js";
import { ExecutionLog } from "./execution_log.js";
import { failureCard, failuresIn, failuresView } from "./failures_view.js";
import { counted, instant } from "./format.js";
import { heading, valuesOf } from "./execution_head.js";
import { readFunction } from "./functions.js";
import { historyView } from "./history_view.js";
import { onKey } from "./keys.js";
import { follow } from "./live.js";
import { logsView } from "./logs_view.js";
import { sayProblem } from "./notices.js";
import { atMostEvery } from "./pace.js";
import { card, problemBox, tabs } from "./parts.js";
import { executionLink, go } from "./router.js";
import { timeline } from "./timeline.js";
import { timelineOf } from "./timeline_model.js";
import { treeView } from "./tree_view.js";

/** So many events are drawn in the timeline and looked at for failures: more would be slow, and too small to see. */
const MOST = 3000;
/** How often at most the timeline is drawn anew while events come in. */
const DRAW_MILLIS = 500;
const VIEWS = [["history", "History"], ["children", "Children"], ["logs", "Logs"], ["failures", "Failures"]];

/** @param {HTMLElement} place @param {import("./router.js").Route} route @param {AbortSignal} signal */
export function executionPage(place, route, signal) {
  const page = new ExecutionPage(place, route.parts[1], signal);
  const opened = page.open(route);
  opened.catch((error) => signal.aborted || fill(place, problemBox(error)));
  // the address may change again while the execution is being read
  return { update: (next) => opened.then(() => page.show(next), () => {}) };
}

class ExecutionPage {
  constructor(place, id, signal) {
    Object.assign(this, { place, id, signal, one: null, kind: "", view: "", stream: new AbortController() });
    this.log = new ExecutionLog(id, signal);
    this.views = { history: historyView(this.log, signal, (_version, event) => this.chart.mark(instant(event.created_at))),
      children: treeView(id, signal), logs: logsView(id, signal), failures: failuresView(signal) };
    this.chart = timeline((version) => this.chooseVersion(version));
    this.parts = Object.fromEntries(["head", "why", "failure", "values", "note", "tabs", "view"].map((name) => [name, h(`div.${name}-place`)]));
    onKey("[", "event before", () => this.stepVersion(-1), signal);
    onKey("]", "next event", () => this.stepVersion(1), signal);
  }

  async open(route) {
    const { head, why, failure, values, note, tabs: row, view } = this.parts;
    this.one = await get(executionPath(this.id), this.signal);
    this.place.append(head, why, failure, values, card("Timeline", this.chart.element, note), h("section.card.views", { "aria-label": "Views" }, row, view));
    this.kind = await readFunction(this.one.ffqn, this.signal).then((found) => found.kind, () => "");
    this.drawHead();
    this.log.addEventListener("change", atMostEvery(DRAW_MILLIS, () => this.drawSlowParts(), this.signal), { signal: this.signal });
    this.log.length = this.one.version;
    await this.log.load(MOST);
    this.show(route);
    const ticking = setInterval(() => this.one.state !== "finished" && !document.hidden && this.drawTimeline(), 1000);
    this.signal.addEventListener("abort", () => (clearInterval(ticking), this.stream.abort()));
  }

  /** Show what the address names below this page. */
  show(route) {
    const view = VIEWS.some(([key]) => key === route.parts[2]) ? route.parts[2] : "history";
    const isNew = view !== this.view;
    this.view = view;
    fill(this.parts.tabs, tabs("Views of the execution", VIEWS.map(([key, title]) => [key, title, executionLink(this.id, key)]), view));
    if (!isNew) return;
    fill(this.parts.view, this.views[view].element);
    this.views[view].open?.();
    if (view === "failures") this.views.failures.show(failuresIn(this.log.beginning(MOST)));
    if (view === "history") this.views.history.shown();
    this.listen();
  }

  /** Follow what this view needs. One stream: a browser has few connections to a host. */
  listen() {
    this.stream.abort();
    this.stream = new AbortController();
    if (this.one.state === "finished" && this.view !== "logs") return;
    const wants = { children: "?children=true", logs: "?logs=true" }[this.view] ?? "";
    const after = `v${this.log.length}.r${this.log.responses.length}.l${this.views.logs.position()}`;
    const path = executionPath(this.id, "follow") + wants;
    follow(path, {
      event: (event) => this.log.add(event),
      response: (response) => this.log.addResponse(response),
      log: (line) => this.views.logs.take(line),
      child: (child) => this.views.children.take(child),
      state: (state) => this.changed(state),
      finished: (state) => this.changed(state),
      reset: () => location.reload(),
    }, AbortSignal.any([this.signal, this.stream.signal]), after);
  }

  changed(state) {
    const isOther = state.state !== this.one.state || state.lifecycle !== this.one.lifecycle || state.attempts !== this.one.attempts;
    if (!isOther) return;
    Object.assign(this.one, state);
    this.refresh().catch(sayProblem);
  }

  /** Read the execution anew: only its own document tells why it failed or is paused. */
  async refresh() {
    this.one = await get(executionPath(this.id), this.signal);
    this.log.grow(this.one.version);
    this.drawHead();
  }

  drawHead() {
    const one = this.one;
    document.title = `${one.ffqn.slice(one.ffqn.lastIndexOf(".") + 1)} \u00b7 obelisk`;
    fill(this.parts.head, heading(one, this.kind, actionButtons(one, this.kind, () => this.refresh().catch(sayProblem))));
    fill(this.parts.values, valuesOf(one));
    showWhy(this.parts.why, one, this.signal).catch(() => {});
    const failure = one.failure?.failure_id;
    if (failure !== this.failure) fill(this.parts.failure, failure && card(one.state === "finished" ? "Why it failed" : "Why it is paused", failureCard(failure, this.signal)));
    this.failure = failure;
  }

  drawSlowParts() {
    this.drawTimeline();
    if (this.view === "failures") this.views.failures.show(failuresIn(this.log.beginning(MOST)));
  }

  drawTimeline() {
    const events = this.log.beginning(MOST);
    if (!events.length) return;
    this.chart.show(timelineOf(events, this.log.responses, Date.now()));
    const isCut = events.length < this.log.length;
    fill(this.parts.note, isCut && h("p.dim", `Drawn are the first ${counted(events.length, "event")} of ${counted(this.log.length, "event")}; the history has all.`));
  }

  chooseVersion(version) {
    go(executionLink(this.id, "history"), true);
    this.views.history.choose(version);
  }

  stepVersion(by) {
    if (!this.view) return; // it is still being read
    go(executionLink(this.id, "history"), true);
    this.views.history.step(by);
  }
}
