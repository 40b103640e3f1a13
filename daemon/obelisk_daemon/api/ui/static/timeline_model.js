/** From a log to bars: what the execution did when, and how long each of its children and delays took. */

import { lastName } from "./event_words.js";
import { duration, instant } from "./format.js";

/**
 * @typedef {{ from: number, to: number, tone: string, title: string, version?: number, isOpen?: boolean }} Bar
 * @typedef {{ label: string, version: number, bars: Bar[], marks: { at: number, title: string }[], id?: string }} Row
 */

/**
 * @param {any[]} events from version 0 on, without a gap @param {any[]} responses @param {number} now
 * @returns {{ rows: Row[], from: number, to: number, isOpen: boolean }}
 */
export function timelineOf(events, responses, now) {
  const isOpen = events.at(-1)?.type !== "finished";
  const end = isOpen ? now : instant(events.at(-1).created_at);
  const answers = answersOf(responses);
  const rows = [ownRow(events, answers, end, isOpen), ...memberRows(events, answers, end)];
  return { rows, from: instant(events[0].created_at), to: Math.max(end, instant(events[0].created_at) + 1), isOpen };
}

function answersOf(responses) {
  const bySet = new Map();
  const byMember = new Map();
  for (const response of responses) {
    if (!bySet.has(response.join_set)) bySet.set(response.join_set, []);
    bySet.get(response.join_set).push(response);
    byMember.set(response.execution_id ?? response.delay_id, response);
  }
  return { bySet, byMember };
}

/** The execution itself: its state after each event until the next. */
function ownRow(events, { bySet }, end, isOpen) {
  const bars = [];
  const marks = [];
  const joins = new Map();
  let awaited = null;
  let history = 0;
  const until = (place) => (place + 1 < events.length ? instant(events[place + 1].created_at) : end);
  events.forEach((event, place) => {
    const push = (start, stop, tone, title, open = false) => {
      if (stop > start || tone !== "running") bars.push({ from: start, to: stop, tone, what: title, isOpen: open, version: event.version });
    };
    const from = instant(event.created_at);
    const to = until(place);
    const open = isOpen && place === events.length - 1;
    const item = event.type === "history_event" ? event.event : null;
    if (item) history++;
    if (item?.type === "join_next") {
      const number = joins.get(item.join_set) ?? 0;
      joins.set(item.join_set, number + 1);
      awaited = { set: item.join_set, number };
    } else if (item) awaited = null;
    if (event.type === "locked" && history) marks.push({ at: from, title: `replay of ${history} steps` });
    const tone = item || event.type === "locked" ? "running" : TONES[event.type];
    if (!tone) return;
    const answer = awaited && bySet.get(awaited.set)?.[awaited.number];
    if (tone === "running" && awaited) {
      const arrived = answer ? Math.max(from, Math.min(to, instant(answer.created_at))) : to;
      if (arrived > from) push(from, arrived, "blocked", `waits for ${awaited.set},`, open && !answer);
      push(arrived, to, "running", "runs", open);
    } else if (event.type === "locked") push(from, to, endTone(events[place + 1]), `attempt ${event.attempt},`, open);
    else push(from, to, tone, tone, open);
  });
  return { label: "execution", version: 0, bars: merged(bars), marks };
}

const TONES = {
  created: "pending", unlocked: "pending", temporarily_failed: "pending", temporarily_timed_out: "pending", paused: "paused",
  unpaused: "pending", cancellation_requested: "cancelling",
};

/** An attempt has the colour of its end. */
function endTone(next) {
  if (next?.type === "temporarily_failed" || next?.type === "temporarily_timed_out") return "err";
  if (next?.type !== "finished") return "running";
  return outcomeTone(next.result);
}

/** Join bars that follow each other with one tone and no names of their own. */
function merged(bars) {
  const joined = [];
  for (const bar of bars) {
    const last = joined.at(-1);
    if (last?.tone === "running" && bar.what === "runs" && last.to === bar.from) {
      last.to = bar.to;
      last.isOpen = bar.isOpen;
    } else joined.push({ ...bar });
  }
  for (const bar of joined) bar.title = `${bar.what} ${duration(bar.to - bar.from)}`;
  return joined;
}

function outcomeTone(result) {
  return !result ? "ok" : "ok" in result ? "ok" : "err" in result ? "err" : "failed";
}

/** Each child and each delay, from its request to its answer. */
function memberRows(events, { byMember }, end) {
  const rows = [];
  for (const event of events) {
    const request = event.type === "history_event" && event.event.type === "join_set_request" ? event.event.request : null;
    if (!request || request.type === "refused") continue;
    const isChild = request.type === "child";
    const key = isChild ? request.execution_id : request.delay_id;
    const answer = byMember.get(key);
    const from = instant(event.created_at);
    const to = answer ? instant(answer.created_at) : end;
    const tone = !answer ? (isChild ? "running" : "delay") : isChild ? outcomeTone(answer.result) : answer.cancelled ? "cancelling" : "delay";
    const place = key.slice(key.lastIndexOf(".") + 1);
    const label = `${isChild ? lastName(request.ffqn) : "delay"} ${place}`;
    const title = `${label} ${duration(to - from)}${answer ? "" : ", not over"}`;
    rows.push({ label, version: event.version, id: isChild ? key : undefined, marks: [], bars: [{ from, to, tone, title, isOpen: !answer }] });
  }
  return rows;
}
