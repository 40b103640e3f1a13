/** The dashboard: what waits, what runs, how fast it goes, who runs it, and what wants a person. */

import { get, query } from "./api.js";
import { lineChart } from "./chart.js";
import { fill, h } from "./dom.js";
import { ago, count, instant } from "./format.js";
import { follow } from "./live.js";
import { card, chips, facts, nothing, problemBox } from "./parts.js";
import { link } from "./router.js";

/** How often what no stream tells of is read. */
const REFRESH_MILLIS = 5000;
const STATES = [
  ["pending_at", "pending", { state: "pending_at", lifecycle: "active" }], ["locked", "running", { state: "locked" }],
  ["blocked", "blocked", { state: "blocked", lifecycle: "active" }], ["paused", "paused", { lifecycle: "paused" }],
  ["cancelling", "cancelling", { lifecycle: "cancelling" }],
];

/** @param {HTMLElement} place @param {import("./router.js").Route} _route @param {AbortSignal} signal */
export function dashboardPage(place, _route, signal) {
  document.title = "obelisk";
  const [about, alerts, stats, queues, executors] = ["component-list", "alerts", "stats", "scroll", "scroll"].map((name) => h(`div.${name}`));
  const rates = lineChart("Executions a second", ["submitted", "started", "finished"]);
  const load = lineChart("Unfinished executions", ["pending", "running", "blocked"]);
  place.append(h("div.page-head", h("h1", "Dashboard")), about, alerts, stats,
    h("div.columns", card("Executions a second", rates.element), card("Unfinished", load.element)),
    card("Queues", queues), card("Executors", executors));

  async function refresh() {
    try {
      const [status, queued, running] = await Promise.all([get("status", signal), get("queues", signal), get("executors", signal)]);
      fill(about, factsOf(status));
      fill(alerts, alertsOf(status));
      fill(stats, statsOf(status.executions, status.hot));
      fill(queues, queueTable(queued.queues));
      fill(executors, executorTable(running.executors));
    } catch (error) {
      if (!signal.aborted) fill(alerts, problemBox(error));
    }
  }

  follow("follow?executions=none", {
    generation: refresh,
    manifest: refresh,
    drift: refresh,
    load(now) {
      const at = Date.now();
      fill(stats, statsOf(now.executions, now.hot));
      rates.add(at, [now.rates.submitted, now.rates.started, now.rates.finished]);
      load.add(at, ["pending_at", "locked", "blocked"].map((state) => now.executions[state] ?? 0));
    },
  }, signal);
  refresh();
  const reading = setInterval(() => document.hidden || refresh(), REFRESH_MILLIS);
  const drawing = setInterval(() => document.hidden || (rates.draw(), load.draw()), 1000);
  signal.addEventListener("abort", () => (clearInterval(reading), clearInterval(drawing)));
}

function factsOf(status) {
  return facts([
    ["generation", h("a", { href: "#/manifest" }, status.generation)],
    ["started", ago(status.started_at)],
    ["version", status.version],
    ["state", h("code", status.state_dir)],
    ["pid", status.pid],
  ]);
}

/** What wants a person, the worst first. */
function alertsOf(status) {
  const pauses = Object.entries(status.automatic_pauses ?? {}).filter(([, number]) => number);
  return [
    status.not_ready && h("p.problem", "Not ready: ", status.not_ready),
    status.degraded && h("p.problem", "Degraded: ", status.degraded),
    status.manifest_refused && h("a.alert", { href: "#/manifest" }, h("b", "The last change of the manifest was refused. "), status.manifest_refused),
    (status.drift ?? []).map((one) => h("a.alert", { href: "#/manifest" }, h("b", `Drift: ${one.subject}. `), one.message)),
    pauses.map(([reason, number]) => h("a.alert", { href: link(["executions"], query({ lifecycle: "paused" })) },
      h("b", `${count(number)} paused by the daemon: `), reason)),
  ];
}

function statsOf(executions, hot) {
  const tile = (number, word, filter) => h("a.stat", { href: link(["executions"], query(filter)) }, h("b", count(number)), h("span", word));
  return [
    STATES.map(([name, word, filter]) => tile(executions[name] ?? 0, word, filter)),
    h("div.stat", h("b", count(hot)), h("span", "workflows in memory")),
  ];
}

function queueTable(queues) {
  if (!queues.length) return nothing("No component has a queue.");
  const rows = queues.map((one) => h("tr",
    h("td", h("a", { href: link(["executions"], query({ component: one.component })) }, one.component), " ", h("span.dim", one.kind)),
    h("td.number", h("a", { href: link(["executions"], query({ component: one.component, state: "pending_at" })) }, count(one.pending)), one.max_pending && h("span.dim", ` of ${count(one.max_pending)}`)),
    h("td.time", one.oldest_due_at && instant(one.oldest_due_at) < Date.now() ? ago(one.oldest_due_at) : ""),
    h("td.number", one.never_started ?? ""),
    h("td", meter(one.running, one.max_running))));
  return table(["Component", "Pending", "Oldest due", "Never started", "Running"], rows);
}

function executorTable(executors) {
  const rows = executors.map((one) => h("tr",
    h("td", one.name, " ", one.here && h("span.dim", "here")), h("td.mono.dim", { title: one.executor_id }, one.host), h("td", chips(one.labels)),
    h("td", meter(one.running, one.max_running)), h("td.number", count(one.hot)), h("td.time", one.seen_at ? ago(one.seen_at) : "")));
  return table(["Executor", "Host", "Labels", "Running", "In memory", "Seen"], rows);
}

function table(titles, rows) {
  return h("table.list", h("thead", h("tr", titles.map((title) => h("th", { scope: "col" }, title)))), h("tbody", rows));
}

/** How much of a limit is taken. */
function meter(value, most) {
  const bar = h("i");
  bar.style.width = most ? `${Math.min(100, (value / most) * 100)}%` : "0";
  return [most > 0 && h("span.meter", bar), count(value), most > 0 && h("span.dim", ` of ${count(most)}`)];
}
