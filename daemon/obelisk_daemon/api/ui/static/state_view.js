/** The state of an execution after some of its events: what it was, what it waited for, what it had asked for. */

import { executionPath, get, query } from "./api.js";
import { fill, h } from "./dom.js";
import { lastName } from "./event_words.js";
import { at, counted, shortDigest } from "./format.js";
import { chips, facts, idLink, statePill } from "./parts.js";

const MOST = 50;
/** A slider that is pulled passes many versions: only where it rests is asked for. */
const REST_MILLIS = 60;
/** A long log is gone through for each state: the daemon gets so many times as long in between as it took. */
const RESTS = 10;
/** But who looks at the page does not wait for longer, also while the machine is busy. */
const LONGEST_REST_MILLIS = 1_000;

/** @param {string} id @param {AbortSignal} signal */
export function stateAt(id, signal) {
  const element = h("section.state-at", { "aria-label": "State", "aria-live": "polite" });
  let newest = new AbortController();
  let took = 0;
  return {
    element,
    /** Show the state after the first so many events. @param {number} events */
    async show(events) {
      newest.abort();
      newest = new AbortController();
      const wanted = AbortSignal.any([signal, newest.signal]);
      await new Promise((resolve) => setTimeout(resolve, Math.min(LONGEST_REST_MILLIS, Math.max(REST_MILLIS, took * RESTS))));
      if (wanted.aborted) return;
      const asked = performance.now();
      try {
        const state = await get(executionPath(id, "state") + query({ version: events, limit: MOST }), wanted);
        took = performance.now() - asked;
        fill(element, describe(state));
      } catch (error) {
        if (!wanted.aborted) fill(element, h("p.dim", error.message));
      }
    },
  };
}

function describe(state) {
  const waits = state.waiting_for;
  return [
    h("h3", "State then ", statePill(state)),
    facts([
      ["attempt", state.attempt],
      ["due", state.due_at && at(state.due_at)],
      ["waits for", waits && h("code", waits.join_set)],
      ["paused by", state.pause_reason],
      ["code", h("code", { title: state.component_digest }, shortDigest(state.component_digest))],
    ]),
    state.pending_total > 0 && h("p", h("b", counted(state.pending_total, "pending request"))),
    h("ul.plain", state.pending.map((one) => h("li.member", member(one)))),
    state.join_sets_total > 0 && h("p", h("b", counted(state.join_sets_total, "join set"))),
    state.join_sets.map(joinSet),
  ];
}

function joinSet(set) {
  return h("details.join-set", { open: !set.closed && set.members_total > 0 },
    h("summary", h("code", set.name), " ", chips([`${set.answered} of ${set.members_total} answered`, `${set.taken} taken`]),
      set.closing && !set.closed && chips(["closing"]), set.closed && chips(["closed"])),
    h("ul.plain", set.members.map((one) => h("li.member", member(one))),
      set.members_total > set.members.length && h("li.dim", `and ${counted(set.members_total - set.members.length, "other")}`)));
}

function member(one) {
  const tone = one.answered_at ? { finished: "delay", cancelled: "cancelling" }[one.outcome] ?? one.outcome : "pending";
  return [
    h(`span.dot.${tone}`),
    one.execution_id ? [idLink(one.execution_id, `${lastName(one.ffqn)} ${placeOf(one.execution_id)}`), " "] : h("span.mono", { title: one.delay_id }, `delay ${placeOf(one.delay_id)} `),
    one.answered_at ? h("span.dim", `${one.failure_kind ?? one.outcome}${one.taken ? "" : ", not taken yet"}`) : h("span.dim", "pending"),
    one.due_at && !one.answered_at && [" due ", at(one.due_at)],
  ];
}

/** Where in its parent something stands: the join set and the number. */
function placeOf(id) {
  return id.slice(id.lastIndexOf(".") + 1);
}
