/** A value to fill in, by fields made from its type or as JSON; the two are kept the same when one turns to the other. */

import { fill, h } from "./dom.js";
import { parse, stringify } from "./json.js";
import { sayProblem } from "./notices.js";
import { FieldError } from "./wit_scalars.js";

/**
 * @param {import("./wit_scalars.js").Field | null} field null where no fields can be made of the type
 * @param {string} what the JSON is, for its label @param {any} [initial]
 */
export function valueForm(field, what, initial) {
  let mode = field ? "form" : "json";
  const text = h("textarea.code", { rows: "8", spellcheck: "false", "aria-label": `${what} as JSON`, name: "json" });
  const place = h("div");
  const button = (name, title) => h("button", { type: "button", role: "tab", "data-mode": name, on: { click: () => turn(name) } }, title);
  const switcher = h("div.switch", { role: "tablist", "aria-label": "How to write it" }, button("form", "Form"), button("json", "JSON"));
  const element = h("div.value-form", field && switcher, place);
  if (initial !== undefined) {
    text.value = stringify(initial, 2);
    trySetting(initial);
  }
  show();

  function trySetting(value) {
    try {
      field?.set(value);
    } catch {
      mode = "json"; // of another type than today's: only as JSON can it be shown
    }
  }

  function show() {
    for (const one of switcher.children) one.setAttribute("aria-selected", String(one.dataset.mode === mode));
    fill(place, mode === "form" ? field.element : text);
  }

  function turn(next) {
    if (next === mode) return;
    try {
      if (next === "json") text.value = stringify(field.get(), 2);
      else if (text.value.trim()) field.set(read());
    } catch (error) {
      if (next === "form") return sayProblem(error);
      text.value ||= ""; // fields that are not filled in yet have no JSON
    }
    mode = next;
    show();
  }

  function read() {
    try {
      return parse(text.value);
    } catch (error) {
      throw new FieldError(`not JSON: ${error.message}`);
    }
  }

  return { element, get: () => (mode === "form" ? field.get() : read()) };
}
