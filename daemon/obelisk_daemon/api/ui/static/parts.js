/** Small pieces that several pages show. */

import { h, svg } from "./dom.js";
import { shortId } from "./format.js";
import { say } from "./notices.js";
import { executionLink } from "./router.js";

/** The word and the colour of a state. @param {any} one an execution's document */
export function standing(one) {
  if (one.state === "finished") {
    const outcome = one.outcome ?? outcomeOf(one.result);
    return [outcome ?? "finished", outcome ?? "ok"];
  }
  if (one.lifecycle === "paused") return ["paused", "paused"];
  if (one.lifecycle === "cancelling") return ["cancelling", "cancelling"];
  return { pending_at: ["pending", "pending"], locked: ["running", "running"], blocked: ["blocked", "blocked"] }[one.state];
}

function outcomeOf(result) {
  if (!result) return undefined;
  return "ok" in result ? "ok" : "err" in result ? "err" : "failed";
}

/** A state as a pill. @param {any} one */
export function statePill(one) {
  const [word, tone] = standing(one);
  const kind = one.failure_kind ?? one.result?.execution_failure?.kind;
  return h(`span.pill.${tone}`, { title: one.state }, word === "failed" && kind ? kind.replaceAll("_", " ") : word);
}

/** A button that copies text. @param {() => string} content */
export function copyButton(content, label = "Copy") {
  const click = async () => {
    await navigator.clipboard?.writeText(content());
    say("Copied");
  };
  return h("button.icon.copy", { title: label, "aria-label": label, on: { click } }, copyIcon());
}

function copyIcon() {
  return svg("svg.copy-icon", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: "M6 2h8v9h-3M3 5h8v9H3z" }));
}

/** An id that leads to its execution's page. @param {string} id */
export function idLink(id, text = shortId(id)) {
  return h("a.id", { href: executionLink(id), title: id }, text);
}

/** Name and value in two columns; pairs without a value are left out. @param {[string, any][]} pairs */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  return h("dl.facts", shown.map(([name, value]) => h("div", h("dt", name), " ", h("dd", value))));
}

/** A titled part of a page. @param {string} title */
export function card(title, ...children) {
  const heading = h("h2", title);
  return h("section.card", { "aria-label": title }, heading, children);
}

/** Why there is nothing, in place of a list. @param {string} text */
export function nothing(text, ...more) {
  return h("p.nothing", text, more);
}

/** What went wrong, where something should have been. @param {any} error */
export function problemBox(error) {
  return h("p.problem", { role: "alert" }, h("b", error.code ?? "error"), " ", error.message);
}

/** Labels and tags as small chips. @param {string[]} texts */
export function chips(texts, kind = "label") {
  return texts.map((text) => h(`span.chip.${kind}`, text));
}

/** Tags as `key=value`, or only the key. @param {Record<string, string> | undefined} tags */
export function tagTexts(tags) {
  return Object.entries(tags ?? {}).map(([key, value]) => (value ? `${key}=${value}` : key));
}

/** One of several views of a page: links in a row. @param {[string, string, string][]} views key, title, address */
export function tabs(label, views, current) {
  return h("nav.tabs", { "aria-label": label }, views.map(([key, title, href]) =>
    h("a", { href, "aria-current": key === current && "page" }, title)));
}
