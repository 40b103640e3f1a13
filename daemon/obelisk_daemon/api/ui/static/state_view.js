/** The state of an execution after some of its events: what it is, what it waits for, what it has asked for. */

import { executionPath, get } from "./api.js";
import { fill, h } from "./dom.js";
import { at, shortDigest } from "./format.js";
import { chips, facts, idLink, statePill } from "./parts.js";

const MOST_MEMBERS = 50;

/** @param {string} id @param {AbortSignal} signal */
export function stateAt(id, signal) {
  const element = h("div.state-at");
  let newest = new AbortController();
  return {
    element,
    /** Show the state after the first so many events. @param {number} events */
    async show(events) {
      newest.abort();
      const mine = (newest = new AbortController());
      try {
        const state = await get(`${executionPath(id, "state")}?version=${events}`, AbortSignal.any([signal, mine.signal]));
        if (!mine.signal.aborted) fill(element, describe(state));
      } catch (error) {
        if (!mine.signal.aborted && !signal.aborted) fill(element, error.status !== 404 && h("p.dim", error.message));
      }
    },
  };
}

function describe(state) {
  const status = { ...state, state: state.state ?? state.status };
  return [
    h("h3", "State after it ", statePill(status)),
    facts([
      ["attempt", state.attempt],
      ["due", state.due_at && at(state.due_at)],
      ["waits for", state.waiting_for ?? state.join_set],
      ["code", (state.component_digest ?? state.digest) && h("code", shortDigest(state.component_digest ?? state.digest))],
      ["pause", state.pause_reason],
    ]),
    (state.join_sets ?? []).map(joinSet),
  ];
}

function joinSet(set) {
  const members = set.members ?? [];
  return h("section.join-set", { "aria-label": `Join set ${set.name ?? set.join_set}` },
    h("h4", h("code", set.name ?? set.join_set), " ", chips([`${members.length} members`]), set.closed && chips(["closed"])),
    h("ul.plain", members.slice(0, MOST_MEMBERS).map(member),
      members.length > MOST_MEMBERS && h("li.dim", `and ${members.length - MOST_MEMBERS} more`)));
}

function member(one) {
  const id = one.execution_id ?? one.delay_id ?? one.id;
  return h("li", h(`span.dot.${tone(one)}`), one.execution_id ? idLink(id) : h("span.mono", { title: id }, "delay"), " ",
    one.due_at && !one.response && ["due ", at(one.due_at)], h("span.dim", words(one)));
}

function tone(one) {
  if (!one.response) return "pending";
  const result = one.response.result;
  return !result ? "delay" : "ok" in result ? "ok" : "err";
}

function words(one) {
  if (!one.response) return " pending";
  return one.taken === false ? " arrived, not taken" : " arrived";
}
