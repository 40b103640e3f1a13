/** How times, durations, names and numbers are written. */

import { h } from "./dom.js";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const NUMBER = new Intl.NumberFormat("en");

/** Milliseconds since 1970, with microseconds as a fraction. @param {string} text RFC 3339 */
export function instant(text) {
  const fraction = /\.\d{3}(\d{1,3})/.exec(text);
  return Date.parse(text) + (fraction ? Number(`0.${fraction[1]}`) : 0);
}

/** `14:03:07`, with the day where it is not today. @param {number} millis */
export function moment(millis, withMillis = false) {
  const date = new Date(millis);
  const clock = CLOCK.format(date) + (withMillis ? `.${String(date.getMilliseconds()).padStart(3, "0")}` : "");
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return clock;
  return `${(date.getFullYear() === now.getFullYear() ? DAY : YEAR).format(date)} ${clock}`;
}

/** `340 ms`, `2.1 s`, `4m 7s`, `3h 2m`, `5d 1h`. @param {number} millis */
export function duration(millis) {
  if (millis < 0) return `-${duration(-millis)}`;
  if (millis < 1) return `${Math.round(millis * 1000)} µs`;
  if (millis < 999.5) return `${millis < 10 ? millis.toFixed(1) : Math.round(millis)} ms`;
  if (millis < 59_950) return `${(millis / 1000).toFixed(millis < 9_995 ? 2 : 1)} s`;
  const seconds = Math.round(millis / 1000);
  const units = [["d", 86_400], ["h", 3_600], ["m", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  return units
    .slice(first, first + 2)
    .map(([unit, size], place) => [Math.floor((place ? seconds % units[first][1] : seconds) / size), unit])
    .filter(([amount]) => amount)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(" ");
}

/** `12s ago`, `in 3m`. @param {number} millis */
export function relative(millis, now = Date.now()) {
  const distance = now - millis;
  if (Math.abs(distance) < 1000) return "now";
  const seconds = Math.floor(Math.abs(distance) / 1000);
  const [amount, unit] =
    seconds < 60 ? [seconds, "s"]
    : seconds < 3600 ? [Math.floor(seconds / 60), "m"]
    : seconds < 86_400 ? [Math.floor(seconds / 3600), "h"]
    : [Math.floor(seconds / 86_400), "d"];
  return distance > 0 ? `${amount}${unit} ago` : `in ${amount}${unit}`;
}

/** An element with a time that `tick` keeps up to date. @param {string} text RFC 3339 */
export function ago(text) {
  return h("time.ago", { datetime: text, title: text }, relative(instant(text)));
}

/** An element with a clock time. @param {string} text RFC 3339 */
export function at(text) {
  return h("time", { datetime: text, title: text }, moment(instant(text), true));
}

/** Bring every relative time of the page up to date. */
export function tick() {
  for (const element of document.querySelectorAll("time.ago")) {
    const text = relative(instant(element.getAttribute("datetime")));
    if (element.textContent !== text) element.textContent = text;
  }
}

/** `1,234`. */
export function count(value) {
  return NUMBER.format(value);
}

/** `1 event`, `2 events`. */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** `12.3 KiB`. */
export function bytes(value) {
  if (value < 1024) return `${value} B`;
  const power = Math.min(4, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** The first digits of a digest, which tell it from others. */
export function shortDigest(digest) {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}

/** What tells an id from its neighbours: the end of a ULID, and all that says where in a tree it is. */
export function shortId(id) {
  const [top, ...rest] = id.split(".");
  const short = top.length > 16 ? `${top.slice(0, 2)}\u2026${top.slice(-8)}` : top;
  return rest.length > 2 ? `${short}.\u2026.${rest.at(-1)}` : [short, ...rest].join(".");
}

/** A function's name with what matters in it set off: package dim, function strong. */
export function functionName(ffqn) {
  const dot = ffqn.lastIndexOf(".");
  const slash = ffqn.indexOf("/");
  return h("span.ffqn", { title: ffqn }, [
    h("span.dim.package", ffqn.slice(0, slash + 1)),
    h("span.interface", ffqn.slice(slash + 1, dot + 1)),
    h("b", ffqn.slice(dot + 1)),
  ]);
}
