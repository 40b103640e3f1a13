/** The log of one execution as it is known here: pages that are fetched when they are looked at, and what comes live. */

import { executionPath, get, query } from "./api.js";
import { instant } from "./format.js";
import { sayProblem } from "./notices.js";
import { atMostEvery } from "./pace.js";

const PAGE = 500;
/** How often at most a change is told: a thousand a second can't each be drawn. */
const TELL_MILLIS = 50;

/** Tells of `change` when more is known. `length` is how many events there are, whether they have been fetched or not. */
export class ExecutionLog extends EventTarget {
  /** @param {string} id @param {AbortSignal} signal */
  constructor(id, signal) {
    super();
    this.id = id;
    this.signal = signal;
    this.length = 0;
    /** @type {any[]} */
    this.responses = [];
    /** @type {Map<number, any>} */
    this.events = new Map();
    this.asked = new Set();
    this.isLoading = false;
    this.changed = atMostEvery(TELL_MILLIS, () => this.tell(), signal);
  }

  /** An event, or undefined while it is fetched. @param {number} version */
  at(version) {
    const found = this.events.get(version);
    if (!found && version >= 0 && version < this.length) this.fetchPage(Math.floor(version / PAGE)).catch(sayProblem);
    return found;
  }

  /** Learn that there are so many events. @param {number} length */
  grow(length) {
    if (length > this.length) {
      this.length = length;
      this.changed();
    }
  }

  /** Take an event that came live. @param {any} event */
  add(event) {
    this.events.set(event.version, event);
    this.length = Math.max(this.length, event.version + 1);
    this.changed();
  }

  /** Take a response that came live. @param {any} response */
  addResponse(response) {
    if (response.seq !== this.responses.length + 1) return;
    this.responses.push(response);
    this.changed();
  }

  /** Have the first events, up to so many, and all responses to them. @param {number} most */
  async load(most) {
    this.isLoading = true;
    for (let page = 0; page * PAGE < Math.min(this.length, most); page++) await this.fetchPage(page);
    while (this.responses.length < most) {
      const found = await get(executionPath(this.id, "responses") + query({ from: this.responses.length + 1, limit: PAGE }), this.signal);
      this.responses.push(...found.responses.slice(Math.max(0, this.responses.length - (found.responses[0]?.seq ?? 1) + 1)));
      // What came after the last known event may go on coming: it is told live.
      const newest = found.responses.at(-1);
      if (!newest || instant(newest.created_at) > instant(this.events.get(this.length - 1)?.created_at ?? newest.created_at)) break;
    }
    this.isLoading = false;
    this.changed();
  }

  /** The events from the first on without a gap, up to so many. @param {number} most */
  beginning(most) {
    const found = [];
    for (let version = 0; version < Math.min(this.length, most) && this.events.has(version); version++) found.push(this.events.get(version));
    return found;
  }

  async fetchPage(page) {
    const first = page * PAGE;
    const end = Math.min(first + PAGE, this.length);
    if (this.asked.has(page) || (this.events.has(first) && this.events.has(end - 1))) return;
    this.asked.add(page);
    try {
      for (let next = first; next < end;) {
        const found = await get(executionPath(this.id, "events") + query({ from: next || "0", limit: first + PAGE - next }), this.signal);
        if (!found.events.length) break;
        for (const event of found.events) this.events.set(event.version, event);
        next = found.next; // where events are large, it takes several requests
        this.length = Math.max(this.length, next);
        this.changed();
      }
    } finally {
      this.asked.delete(page);
    }
  }

  tell() {
    if (!this.isLoading) this.dispatchEvent(new Event("change"));
  }
}
