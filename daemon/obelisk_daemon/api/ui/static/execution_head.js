/** The head of an execution's page: what it is, when it was, what it got and what it gave. */

import { h } from "./dom.js";
import { ago, at, duration, functionName, instant, shortDigest } from "./format.js";
import { card, chips, copyButton, facts, idLink, statePill, tagTexts } from "./parts.js";
import { executionLink, link } from "./router.js";
import { valueBox } from "./value.js";

/** @param {any} one @param {string} kind @param {any[]} buttons */
export function heading(one, kind, buttons) {
  const isOver = one.state === "finished";
  return h("header.execution-head",
    h("div.page-head",
      h("h1", statePill(one), " ", h("a", { href: link(["functions", one.ffqn]) }, functionName(one.ffqn))),
      h("div.buttons", buttons)),
    h("p.id-line", lineage(one.execution_id), copyButton(() => one.execution_id, "Copy the id"),
      chips(tagTexts(one.tags), "tag"), chips([...one.labels, ...(one.submitted_labels ?? [])])),
    facts([
      ["kind", kind],
      ["created", ago(one.created_at)],
      [isOver ? "finished" : "changed", isOver ? at(one.changed_at) : ago(one.changed_at)],
      [isOver && "took", isOver && duration(instant(one.changed_at) - instant(one.created_at))],
      ["due", !isOver && one.state === "pending_at" && one.due_at && at(one.due_at)],
      ["attempts", one.attempts || undefined],
      ["waits for", one.waiting_for && h("code", one.waiting_for)],
      ["paused by", one.pause_reason],
      ["priority", one.priority],
      ["code", h("span", { title: one.component_digest }, h("code", `${one.component}@${shortDigest(one.component_digest)}`))],
      ["scheduled by", one.scheduled_by && idLink(one.scheduled_by)],
      ["retried from", one.retried_from && idLink(one.retried_from)],
    ]));
}

/** The id, each ancestor in it a link. A child's id is its parent's with a join set and a number behind. */
function lineage(id) {
  const parts = id.split(".");
  return h("span.mono.lineage", parts.map((part, place) => {
    const ancestor = parts.slice(0, place + 1).join(".");
    const dot = place ? "." : "";
    return place === parts.length - 1 ? `${dot}${part}` : [dot, h("a", { href: executionLink(ancestor), title: ancestor }, part)];
  }));
}

/** @param {any} one */
export function valuesOf(one) {
  return h("div.columns",
    card("Parameters", valueBox(one.params ?? [])),
    card("Result", one.result ? valueBox(one.result) : h("p.dim", one.pause_message ?? "None yet.")));
}
