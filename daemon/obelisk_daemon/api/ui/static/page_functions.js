/** The components of the active generation, each with its functions. */

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { bytes, counted, functionName, shortDigest } from "./format.js";
import { listKeys, onKey } from "./keys.js";
import { chips, copyButton, nothing, problemBox } from "./parts.js";
import { link } from "./router.js";

/** @param {HTMLElement} place @param {import("./router.js").Route} _route @param {AbortSignal} signal */
export function functionsPage(place, _route, signal) {
  const search = h("input.grow", { type: "search", id: "search", placeholder: "Find a function   ( / )", "aria-label": "Find a function" });
  const list = h("div.component-list");
  const note = h("p.dim", { "aria-live": "polite" });
  place.append(h("div.page-head", h("h1", "Functions"), note), search, list);
  onKey("/", "search", () => search.focus(), signal);
  listKeys(list, "li", signal);
  Promise.all([get("components", signal), get("functions", signal)]).then(([components, functions]) => {
    const draw = () => {
      const wanted = search.value.trim().toLowerCase();
      const found = functions.functions.filter((one) => `${one.ffqn} ${one.component}`.toLowerCase().includes(wanted));
      fill(note, `${counted(found.length, "function")} \u00b7 generation ${functions.generation}`);
      const cards = components.components
        .map((component) => [component, found.filter((one) => one.component === component.name)])
        .filter(([component, own]) => own.length || component.name.toLowerCase().includes(wanted));
      fill(list, cards.map(([component, own]) => componentCard(component, own)), !cards.length && nothing("No function is called like this."));
    };
    search.addEventListener("input", draw);
    draw();
  }, (error) => signal.aborted || fill(list, problemBox(error)));
}

function componentCard(component, functions) {
  return h("section.card", { "aria-label": component.name },
    h("div.component-head",
      h("h2", component.name), h("span.pill.neutral", component.kind),
      h("code.dim", { title: component.digest }, shortDigest(component.digest)), copyButton(() => component.digest, "Copy the digest"),
      component.size > 0 && h("span.dim", bytes(component.size)), chips(component.labels),
      h("a", { href: link(["executions"], `component=${encodeURIComponent(component.name)}`) }, "executions")),
    h("ul.function-list", functions.map((one) => h("li",
      h("a", { href: link(["functions", one.ffqn]) }, functionName(one.ffqn)), h("code", { title: one.signature }, one.signature)))));
}
