/** The log as a list that draws only what is seen, with a slider through time and the state at the chosen version. */

import { fill, h } from "./dom.js";
import { eventWords } from "./event_words.js";
import { at, count } from "./format.js";
import { copyButton } from "./parts.js";
import { stateAt } from "./state_view.js";
import { stringify } from "./json.js";
import { valueTree } from "./value.js";

const ROW = 28;
const AROUND = 8;

/**
 * @param {import("./execution_log.js").ExecutionLog} log @param {AbortSignal} signal
 * @param {(version: number, event: any) => void} chosen
 */
export function historyView(log, signal, chosen) {
  let version = -1;
  let follows = true;
  let described = -1;
  const spacer = h("div.spacer");
  const list = h("div.event-list", { role: "listbox", tabindex: "0", "aria-label": "Events" }, spacer);
  const slider = h("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": "Version", id: "version" });
  const place = h("output", { for: "version" });
  const step = (by) => choose(version + by);
  const details = h("div.event-details", { "aria-live": "polite" });
  const element = h("div.history",
    h("div.slider", h("button.icon", { "aria-label": "Event before", on: { click: () => step(-1) } }, "\u2039"), slider,
      h("button.icon", { "aria-label": "Next event", on: { click: () => step(1) } }, "\u203a"), place),
    h("div.split", list, details));
  const state = stateAt(log.id, signal);

  function draw() {
    spacer.style.height = `${log.length * ROW}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - AROUND);
    const last = Math.min(log.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + AROUND);
    const rows = [];
    for (let number = first; number < last; number++) rows.push(row(number));
    fill(spacer, rows);
    slider.max = String(Math.max(0, log.length - 1));
    slider.value = String(version);
    fill(place, `${count(Math.max(0, version))} of ${count(Math.max(0, log.length - 1))}`);
    if (version >= 0) list.setAttribute("aria-activedescendant", `event-${version}`);
  }

  function row(number) {
    const event = log.at(number);
    const { kind, text, tone } = event ? eventWords(event) : { kind: "\u2026", text: "", tone: "" };
    const element = h("div.event", { id: `event-${number}`, role: "option", "aria-selected": String(number === version), on: { click: () => choose(number) } },
      h("span.version", number), h(`span.kind${tone ? `.${tone}` : ""}`, kind), h("span.text", { title: text }, text), event && at(event.created_at));
    element.style.top = `${number * ROW}px`;
    return element;
  }

  function choose(wanted, scrolls = true) {
    const next = Math.max(0, Math.min(log.length - 1, wanted));
    if (next === version || !log.length) return;
    version = next;
    follows = version === log.length - 1;
    if (scrolls) reveal();
    draw();
    describe();
  }

  function reveal() {
    const top = version * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  }

  function describe() {
    const event = log.at(version);
    if (!event) return;
    described = version;
    const { version: _version, created_at: created, type, ...rest } = event;
    const shown = type === "history_event" ? rest.event : { type, ...rest };
    fill(details,
      h("h3", `Event ${version} `, h("span.dim", at(created)), copyButton(() => stringify(event, 2), "Copy the event as JSON")),
      valueTree(shown), state.element);
    state.show(version + 1);
    chosen(version, event);
  }

  slider.addEventListener("input", () => choose(Number(slider.value)));
  list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  list.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(version + steps[event.key]);
  });
  const changed = () => {
    if (follows && log.length - 1 !== version) choose(log.length - 1);
    else draw();
    if (described !== version) describe();
  };
  log.addEventListener("change", changed, { signal });
  new ResizeObserver(draw).observe(list);
  return { element, choose, step, shown: () => (reveal(), changed()) };
}
