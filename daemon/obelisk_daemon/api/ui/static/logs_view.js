/** What the guests wrote: read a page at a time, and followed from its end on. */

import { executionPath, get, query } from "./api.js";
import { fill, h } from "./dom.js";
import { at, count } from "./format.js";
import { sayProblem } from "./notices.js";
import { nothing } from "./parts.js";

const PAGE = 500;
/** More lines than this in the page would make it slow: the oldest give way. */
const MOST = 5000;

/** @param {string} id @param {AbortSignal} signal */
export function logsView(id, signal) {
  let position = 0;
  let isComplete = false;
  let isReading = false;
  const lines = h("ol.log-lines", { role: "log", "aria-label": "Log lines", tabindex: "0" });
  const more = h("button", { on: { click: () => read().catch(sayProblem) }, hidden: true }, `Next ${count(PAGE)} lines`);
  const empty = h("div");
  const element = h("div.logs", empty, lines, more);

  async function read() {
    if (isReading) return;
    isReading = true;
    try {
      const found = await get(executionPath(id, "logs") + query({ after: position || "0", limit: PAGE }), signal);
      found.logs.forEach(add);
      isComplete = found.logs.length < PAGE;
      more.hidden = isComplete;
      fill(empty, !lines.childElementCount && nothing("Nothing has been logged or printed."));
    } finally {
      isReading = false;
    }
  }

  function add(line) {
    if (line.position <= position) return;
    position = line.position;
    const isAtEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 20;
    lines.append(h(`li.${line.level}`, at(line.created_at), h("span.level", line.level), h("span.message", line.message)));
    if (lines.childElementCount > MOST) lines.firstElementChild.remove();
    if (isAtEnd) lines.scrollTop = lines.scrollHeight;
  }

  return {
    element,
    /** After which line to follow. */
    position: () => position,
    open: () => read().catch(sayProblem),
    /** Take a line that came live; before all was read, it will be read in its turn. @param {any} line */
    take(line) {
      if (!isComplete) return;
      fill(empty);
      add(line);
    },
  };
}
