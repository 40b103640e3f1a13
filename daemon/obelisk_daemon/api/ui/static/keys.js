/** The keyboard: what each key does, for the whole page and for the list that is shown. */

import { h } from "./dom.js";
import { ask } from "./notices.js";
import { go } from "./router.js";

const SEQUENCE_MILLIS = 1200;
/** @type {Map<string, { does: string, act: () => void }>} */
const keys = new Map();
let waitsFor = "";
let timer = 0;

/** Have a key, or two in turn such as `g e`, do something until `signal` says otherwise. */
export function onKey(key, does, act, signal) {
  keys.set(key, { does, act });
  signal?.addEventListener("abort", () => keys.get(key)?.act === act && keys.delete(key));
}

/** Start listening. */
export function startKeys() {
  onKey("?", "show these keys", showKeys);
  onKey("g d", "dashboard", () => go("#/"));
  onKey("g e", "executions", () => go("#/executions"));
  onKey("g f", "functions", () => go("#/functions"));
  onKey("g m", "manifest", () => go("#/manifest"));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event) || document.querySelector("dialog[open]")) return;
    const found = keys.get(`${waitsFor} ${event.key}`) ?? keys.get(event.key);
    clearTimeout(timer);
    waitsFor = "";
    if (found) {
      event.preventDefault();
      found.act();
    } else if ([...keys.keys()].some((key) => key.startsWith(`${event.key} `))) {
      waitsFor = event.key;
      timer = setTimeout(() => (waitsFor = ""), SEQUENCE_MILLIS);
    }
  });
}

/** Tell if the key means something to what has the focus. */
function isTaken(event) {
  if (!(event.target instanceof Element)) return false;
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return true;
  return event.target.closest("input:not([type=checkbox], [type=range]), textarea, select") !== null;
}

/** Show what the keys do here. */
export function showKeys() {
  const rows = [...keys].map(([key, { does }]) => [h("dt", key.split(" ").map((one) => h("kbd", one))), h("dd", does)]);
  ask("Keys", (form) => void form.append(h("dl.keys", rows)), { confirm: "Close", canCancel: false });
}

/**
 * Move through rows with j and k, open one with Enter. Rows are found anew each time, so they may come and go.
 * @param {HTMLElement} list @param {string} rows selector @param {AbortSignal} signal
 */
export function listKeys(list, rows, signal) {
  const move = (step) => {
    const all = [...list.querySelectorAll(rows)];
    const now = all.findIndex((row) => row.classList.contains("current"));
    const next = all[Math.max(0, Math.min(all.length - 1, now < 0 ? (step > 0 ? 0 : all.length - 1) : now + step))];
    if (!next) return;
    all[now]?.classList.remove("current");
    next.classList.add("current");
    next.querySelector("a")?.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  onKey("j", "next row", () => move(1), signal);
  onKey("k", "row before", () => move(-1), signal);
  onKey("Enter", "open the row", () => list.querySelector(`${rows}.current a`)?.click(), signal);
}
