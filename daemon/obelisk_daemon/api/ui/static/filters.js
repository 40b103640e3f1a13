/** The filters of the executions list: each is a parameter of the API, and stands in the address under the same name. */

import { h } from "./dom.js";

const STATES = [["", "Any state"], ["pending_at", "pending"], ["locked", "running"], ["blocked", "blocked"], ["finished", "finished"]];
const LIFECYCLES = [["", "Any"], ["active", "active"], ["paused", "paused"], ["cancelling", "cancelling"]];
const OUTCOMES = [["", "Any"], ["ok", "ok"], ["err", "err"], ["failed", "failed"]];
const KINDS = [
  "", "timed_out", "trap", "out_of_fuel", "out_of_memory", "limit_exceeded", "nondeterminism", "cancelled", "child_failed",
  "evicted", "rejected", "uncategorized",
].map((kind) => [kind, kind.replaceAll("_", " ") || "Any"]);

/** name, title, choices or what to type, and whether it may be given several times */
const MORE = [
  ["lifecycle", "Lifecycle", LIFECYCLES],
  ["outcome", "Outcome", OUTCOMES],
  ["failure", "Failure", KINDS],
  ["tag", "Tags", "key=value, key", true],
  ["label", "Label", "gpu"],
  ["component", "Component", "name"],
  ["digest", "Digest", "sha256:\u2026"],
  ["generation", "Generation", "number"],
  ["parent", "Parent", "E_\u2026"],
  ["created_after", "Created after", "time"],
  ["created_before", "Created before", "time"],
];
export const FILTERS = ["ffqn", "state", "top_level", ...MORE.map(([name]) => name)];
const SEVERAL = new Set(MORE.filter(([, , , isSeveral]) => isSeveral).map(([name]) => name));

/** The filters in an address. @param {URLSearchParams} search @returns {Record<string, string | string[]>} */
export function filtersOf(search) {
  const found = {};
  for (const name of FILTERS) {
    const values = search.getAll(name).filter(Boolean);
    if (values.length) found[name] = SEVERAL.has(name) ? values : values[0];
  }
  return found;
}

/** The same for the body of a bulk action, where numbers and booleans are no text. */
export function filterDocument(filters) {
  const typed = { ...filters };
  if (typed.generation) typed.generation = Number(typed.generation);
  if (typed.top_level) typed.top_level = typed.top_level === "true";
  return typed;
}

/**
 * The form; `changed` gets all filters after each change.
 * @param {Record<string, any>} filters @param {(filters: Record<string, any>) => void} changed
 */
export function filterForm(filters, changed) {
  const fields = new Map();
  const field = (name, title, what) => {
    const value = [filters[name] ?? ""].flat().join(", ");
    const input =
      typeof what === "string"
        ? h("input", { type: what === "time" ? "datetime-local" : "text", placeholder: what, name, value: shownValue(what, value), spellcheck: "false" })
        : h("select", { name }, what.map(([key, word]) => h("option", { value: key, selected: key === value }, word)));
    input.setAttribute("aria-label", title);
    fields.set(name, input);
    return input;
  };
  const search = field("ffqn", "Function", "Function, from its start: ns:pkg/ifc.name   ( / )");
  search.type = "search";
  search.id = "search";
  const top = h("input", { type: "checkbox", checked: filters.top_level === "true" });
  const active = MORE.filter(([name]) => filters[name]).length;
  const more = h("details.more-filters", { open: active > 0 }, [
    h("summary", "Filters", active > 0 && h("span.badge", active)),
    h("div.filter-grid", MORE.map(([name, title, what]) => h("label", title, field(name, title, what)))),
  ]);
  const collect = () => {
    const values = {};
    for (const [name, input] of fields) {
      const text = input.value.trim();
      if (text) values[name] = input.type === "datetime-local" ? new Date(text).toISOString() : SEVERAL.has(name) ? text.split(/[,\s]+/) : text;
    }
    if (top.checked) values.top_level = "true";
    changed(values);
  };
  const form = h("form.filters", { role: "search", on: { submit: (event) => (event.preventDefault(), collect()), change: collect } }, [
    h("div.filter-row", search, field("state", "State", STATES), h("label.check", top, " top level only"), more),
  ]);
  let timer = 0;
  search.addEventListener("input", () => (clearTimeout(timer), (timer = setTimeout(collect, 250))));
  return form;
}

function shownValue(what, value) {
  if (what !== "time" || !value) return value;
  const date = new Date(value);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
