/** What an event of the log says, in a line. */

import { duration, instant, moment, shortDigest, shortId } from "./format.js";

/** The words of a kind of event and of what it says. @param {any} event @returns {{ kind: string, text: string, tone: string }} */
export function eventWords(event) {
  if (event.type === "history_event") return historyWords(event.event);
  const { kind = event.type.replaceAll("_", " "), text = "", tone = "" } = WORDS[event.type]?.(event) ?? {};
  return { kind, text, tone };
}

const due = (event) => (event.due_at ? `, again after ${duration(instant(event.due_at) - instant(event.created_at))}` : "");
const WORDS = {
  created: (event) => ({ text: `${event.ffqn} on ${event.component}@${shortDigest(event.digest)}` }),
  locked: (event) => ({
    text: `attempt ${event.attempt}, generation ${event.generation}, by ${shortId(event.executor_id)}`,
    tone: "running",
  }),
  unlocked: (event) => ({ text: event.reason, tone: "pending" }),
  temporarily_failed: (event) => ({
    kind: "attempt failed", text: `${event.kind}: ${event.reason}${due(event)}`, tone: "err",
  }),
  temporarily_timed_out: (event) => ({ kind: "attempt timed out", text: `${event.reason}${due(event)}`, tone: "err" }),
  finished: (event) => finishedWords(event.result),
  paused: (event) => ({ text: event.message ? `${event.reason}: ${event.message}` : event.reason, tone: "paused" }),
  unpaused: (event) => ({ kind: "resumed", text: `by ${event.reason}` }),
  cancellation_requested: (event) => ({ text: event.force ? "with force" : "", tone: "cancelling" }),
  component_upgraded: (event) => ({
    kind: event.ok ? "code upgraded" : "upgrade failed",
    text: `${shortDigest(event.digest)}${event.forced ? ", forced" : ""}${event.message ? `: ${event.message}` : ""}`,
    tone: event.ok ? "" : "err",
  }),
};

function finishedWords(result) {
  const failure = result?.execution_failure;
  if (failure) return { text: `${failure.kind.replaceAll("_", " ")}: ${failure.reason}`, tone: "failed" };
  return { text: "ok" in result ? "ok" : "err", tone: "ok" in result ? "ok" : "err" };
}

function historyWords(item) {
  const { text = "", kind = item.type.replaceAll("_", " ") } = HISTORY[item.type]?.(item) ?? {};
  return { kind, text, tone: item.type === "join_next" ? "blocked" : "" };
}

const HISTORY = {
  join_set_create: (item) => ({ text: item.join_set }),
  join_set_request: ({ join_set: set, request }) =>
    request.type === "child" ? { kind: "child requested", text: `${lastName(request.ffqn)} in ${set}` }
    : request.type === "delay" ? { kind: "delay requested", text: `until ${moment(instant(request.due_at), true)} in ${set}` }
    : { kind: "child refused", text: `${request.ffqn} in ${set}: ${[request.error].flat().join(" ")}` },
  join_next: (item) => ({ kind: item.closing ? "closes join set" : "waits for", text: item.join_set }),
  join_next_try: (item) => ({ kind: "looks at", text: `${item.join_set}: ${item.found.replaceAll("_", " ")}` }),
  join_next_too_many: (item) => ({ text: item.join_set }),
  persist: (item) => ({ kind: item.kind.replaceAll("_", " "), text: String(item.value) }),
  schedule: (item) => ({ kind: "schedules", text: `${lastName(item.ffqn)} at ${moment(instant(item.due_at), true)}` }),
  stub: (item) => ({ kind: "gives stub", text: `${shortId(item.execution_id)}: ${item.came}` }),
};

/** A function's name without its package. @param {string} ffqn */
export function lastName(ffqn) {
  return ffqn.slice(ffqn.indexOf("/") + 1);
}
