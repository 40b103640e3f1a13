/** One function: its type, its settings, and a form that submits a call of it. */

import { executionPath, get, may, newExecutionId, put, query } from "./api.js";
import { append, fill, h } from "./dom.js";
import { functionName, shortDigest } from "./format.js";
import { paramsField, readFunction } from "./functions.js";
import { card, chips, copyButton, facts, problemBox } from "./parts.js";
import { executionLink, go, link } from "./router.js";
import { valueForm } from "./value_form.js";
import { valueTree } from "./value.js";

/** @param {HTMLElement} place @param {import("./router.js").Route} route @param {AbortSignal} signal */
export function functionPage(place, route, signal) {
  const ffqn = route.parts[1];
  const from = route.query.get("from");
  open(place, ffqn, from, signal).catch((error) => signal.aborted || fill(place, problemBox(error)));
}

async function open(place, ffqn, from, signal) {
  const [described, like] = await Promise.all([readFunction(ffqn, signal), from ? get(executionPath(from), signal) : null]);
  append(place,
    h("header.execution-head",
      h("div.page-head", h("h1", h("span.pill.neutral", described.kind), functionName(described.ffqn)),
        h("a.button", { href: link(["executions"], query({ ffqn: described.ffqn })) }, "Its executions")),
      h("code.signature", described.signature),
      facts([
        ["component", h("code", { title: described.component_digest }, `${described.component}@${shortDigest(described.component_digest)}`)],
        ["labels", described.labels.length > 0 && chips(described.labels)],
      ])),
    h("div.columns",
      card(from ? `Submit, with the parameters of ${from}` : "Submit", submitForm(described, like)),
      h("div.component-list", Object.keys(described.settings).length > 0 && card("Settings", valueTree(described.settings)), witCard(described.ffqn, signal))));
}

function submitForm(described, like) {
  const params = valueForm(paramsField(described), "Parameters", like?.params);
  const text = (name, title, placeholder, value = "") => h("label", title, h("input", { type: "text", name, placeholder, value, spellcheck: "false" }));
  const trouble = h("div", { "aria-live": "assertive" });
  const button = h("button.primary", { type: "submit", disabled: !may("operate"), title: may("operate") ? "" : "needs the role operate" }, "Submit");
  // Made once, so that pressing twice, or again after an answer that got lost, makes one execution.
  let id = newExecutionId();
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await put(executionPath(id), { ffqn: described.ffqn, params: params.get(), ...options(form) });
      go(executionLink(id));
    } catch (error) {
      if (error.status) id = newExecutionId();
      fill(trouble, h("p.problem", error.message));
    } finally {
      button.disabled = false;
    }
  };
  const tags = Object.entries(like?.tags ?? {}).map(([key, value]) => `${key}=${value}`).join(", ");
  const form = h("form", { on: { submit }, autocomplete: "off", "aria-label": "Submit" },
    described.params.length ? params.element : h("p.dim", "It takes no parameters."),
    h("details", { open: Boolean(tags) }, h("summary.dim", "When, where, tags"),
      h("div.options", text("due_in", "Start after", "1h30m"), text("tags", "Tags", "key=value, \u2026", tags),
        text("labels", "Labels", "gpu, eu"), text("priority", "Priority", "0 to 9"))),
    trouble, h("div.options", button));
  return form;
}

/** What was filled in besides the parameters. */
function options(form) {
  const of = (name) => form.elements[name].value.trim();
  const several = (name) => of(name).split(/[,\s]+/).filter(Boolean);
  const wanted = {};
  if (of("due_in")) wanted.due_in = of("due_in");
  if (of("labels")) wanted.labels = several("labels");
  if (of("priority")) wanted.priority = Number(of("priority"));
  if (of("tags")) wanted.tags = Object.fromEntries(of("tags").split(",").map((tag) => tag.trim().split(/=(.*)/s).slice(0, 2)).map(([key, value = ""]) => [key, value]));
  return wanted;
}

function witCard(ffqn, signal) {
  const pre = h("pre.wit", { tabindex: "0" });
  get(`wit${query({ ffqn })}`, signal).then((found) => fill(pre, found.wit), (error) => signal.aborted || fill(pre, error.message));
  return card("WIT", h("div.value-box", pre, copyButton(() => pre.textContent, "Copy the WIT")));
}
