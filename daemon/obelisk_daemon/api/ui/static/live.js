/** Following the daemon: server-sent events over fetch, which can send our token, and which start again where they ended. */

import { Problem, request } from "./api.js";
import { parse } from "./json.js";
import { pause } from "./pace.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
/** How long no heartbeat may come: they come every 15 seconds. */
const SILENCE = 40_000;

/** How many streams are open, and how many are cut off; `shell.js` shows it. */
export const connection = new EventTarget();
const broken = new Set();

/** @param {symbol} stream @param {boolean} isBroken */
function note(stream, isBroken) {
  if (isBroken) broken.add(stream);
  else broken.delete(stream);
  connection.dispatchEvent(new CustomEvent("change", { detail: broken.size ? "lost" : "live" }));
}

/**
 * Follow a stream until `signal` says that nobody wants it. `on` has a function for each event's name, and `reset`,
 * which is called when what was missed can't be had: read everything anew.
 * @param {string} path @param {Record<string, (data: any) => void>} on @param {AbortSignal} signal
 * @param {string} [after] the position to start after
 */
export async function follow(path, on, signal, after = "") {
  const stream = Symbol(path);
  const state = { last: after, ended: false };
  let wait = FIRST_WAIT;
  while (!signal.aborted && !state.ended) {
    await shownAgain(signal);
    try {
      await read(path, on, signal, state, () => {
        note(stream, false);
        wait = FIRST_WAIT;
      });
    } catch (error) {
      if (signal.aborted) break;
      if (error instanceof Problem && [400, 403, 404].includes(error.status)) {
        on.refused?.(error);
        break;
      }
    }
    if (signal.aborted || state.ended || document.hidden) continue;
    note(stream, true);
    await pause(wait * (0.75 + Math.random() / 2), signal);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
  note(stream, false);
}

async function read(path, on, signal, state, opened) {
  const silence = new AbortController();
  // A browser has six connections to a host for all its tabs: those that nobody looks at leave theirs.
  const hide = () => document.hidden && silence.abort();
  document.addEventListener("visibilitychange", hide, { signal: silence.signal });
  const headers = { accept: "text/event-stream", ...(state.last ? { "last-event-id": state.last } : {}) };
  const response = await request(path, { headers, signal: AbortSignal.any([signal, silence.signal]) });
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let timer = 0;
  try {
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      const { done, value } = await reader.read();
      if (done) return;
      const messages = (rest + value).split(/\r?\n\r?\n/);
      rest = messages.pop();
      for (const message of messages) take(message, on, state);
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
    reader.cancel().catch(() => {});
  }
}

function take(message, on, state) {
  let event = "message";
  const data = [];
  for (const line of message.split(/\r?\n/)) {
    // With `s`: JSON may have U+2028 in its texts as it is, where a dot ends otherwise.
    const [, name, value] = /^([a-z]*): ?(.*)$/s.exec(line) ?? [];
    if (name === "id") state.last = value;
    else if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
  if (event === "reset") state.last = "";
  if (event === "finished") state.ended = true;
  if (data.length || event === "reset") on[event]?.(data.length ? parse(data.join("\n")) : null);
}

function shownAgain(signal) {
  if (!document.hidden) return undefined;
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true, signal });
    signal.addEventListener("abort", resolve, { once: true });
  });
}
