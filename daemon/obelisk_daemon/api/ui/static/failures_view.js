/** Failures: each with its message, where in the code, what it wrote and asked by HTTP, and what caused it. */

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { at, bytes, duration } from "./format.js";
import { chips, copyButton, idLink, nothing, problemBox } from "./parts.js";

/** The ids of the failures that a log names, the newest first, with the words of their event. @param {any[]} events */
export function failuresIn(events) {
  const found = [];
  for (const event of events) {
    const id = event.failure_id ?? event.result?.execution_failure?.failure_id;
    if (id) found.push({ id, event });
  }
  return found.reverse();
}

/** @param {AbortSignal} signal */
export function failuresView(signal) {
  const element = h("div.failures");
  const known = new Map();
  return {
    element,
    /** Show these failures; each is read once. @param {{ id: string, event: any }[]} found */
    show(found) {
      for (const { id, event } of found) if (!known.has(id)) known.set(id, failureCard(id, signal, event));
      const cards = found.map(({ id }) => known.get(id));
      const isSame = cards.length === element.childElementCount && cards.every((card, place) => element.children[place] === card);
      if (!isSame || !cards.length) fill(element, cards, !cards.length && nothing("No attempt has failed."));
    },
  };
}

/** A failure and its causes, read when it is drawn. @param {string} id @param {AbortSignal} signal @param {any} [event] */
export function failureCard(id, signal, event) {
  const card = h("article.failure", { "aria-label": `Failure ${id}` }, h("p.dim", id));
  get(`failures/${encodeURIComponent(id)}`, signal).then(
    (failure) => fill(card, one(failure, event), (failure.causes ?? []).map((cause) => h("div.cause", h("p.because", "caused by"), one(cause)))),
    (error) => signal.aborted || append(card, error));
  return card;
}

function append(card, error) {
  card.append(problemBox(error));
}

function one(failure, event) {
  return [
    h("header", h("span.pill.failed", failure.kind.replaceAll("_", " ")), event && h("span.dim", at(event.created_at)), event?.attempt && chips([`attempt ${event.attempt}`]),
      failure.execution_id && idLink(failure.execution_id), h("code.dim.failure-id", failure.failure_id), copyButton(() => asText(failure), "Copy the failure")),
    h("p.message", failure.message),
    failure.backtrace && h("details", { open: true }, h("summary", "Backtrace"), h("pre.backtrace", failure.backtrace)),
    failure.stderr && h("details", { open: true }, h("summary", "End of stderr"), h("pre", failure.stderr)),
    failure.http && httpTable(failure.http, failure.http_left_out ?? 0),
  ];
}

function asText(failure) {
  return [`${failure.failure_id} ${failure.kind}: ${failure.message}`, failure.backtrace, failure.stderr].filter(Boolean).join("\n\n");
}

function httpTable(exchanges, leftOut) {
  const rows = exchanges.map((exchange) => h("tr",
    h("td.mono", exchange.method), h("td.mono.url", exchange.url),
    h("td", exchange.status ? h(`span.pill.${exchange.status < 400 ? "ok" : "err"}`, exchange.status) : h("span.pill.failed", { title: exchange.reason }, exchange.error)),
    h("td.number", duration(exchange.duration_ms)), h("td.number", `${bytes(exchange.request_bytes ?? 0)} / ${bytes(exchange.response_bytes ?? 0)}`),
    h("td.reason", exchange.reason)));
  return h("details", { open: true }, h("summary", `HTTP requests of the attempt${leftOut ? `, after ${leftOut} others` : ""}`),
    h("div.scroll", h("table.list.http", h("thead", h("tr", ["Method", "URL", "Status", "Took", "Sent / got", "Why"].map((title) => h("th", title)))), h("tbody", rows))));
}
