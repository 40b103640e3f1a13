/** A value as a tree: types by colour, long parts folded, whole numbers exact. */

import { h, visible } from "./dom.js";
import { counted } from "./format.js";
import { stringify } from "./json.js";
import { copyButton } from "./parts.js";

const SHORT_LINE = 72;
const LONGEST_TEXT = 600;
const PAGE = 100;
const OPEN_ITEMS = 40;

/** Show a value with a button to copy it as JSON. @param {any} value */
export function valueBox(value) {
  return h("div.value-box", valueTree(value), copyButton(() => stringify(value, 2), "Copy as JSON"));
}

/** @param {any} value */
export function valueTree(value) {
  return h("div.value", node(value, 0));
}

function node(value, depth) {
  if (value === null || typeof value !== "object") return leaf(value);
  const isList = Array.isArray(value);
  const entries = isList ? value.map((item, index) => [index, item]) : Object.entries(value);
  const [open, close] = isList ? "[]" : "{}";
  if (!entries.length) return h("span.punctuation", open + close);
  const short = entries.length <= 24 ? oneLine(value) : null;
  if (short) return short;
  const body = h("div.items");
  const details = h("details", { open: depth < 3 && entries.length <= OPEN_ITEMS }, [
    h("summary", h("span.punctuation", open), h("span.dim", ` ${counted(entries.length, isList ? "item" : "field")} `), h("span.punctuation", close)),
    body,
  ]);
  const draw = () => {
    if (details.open && !body.childElementCount) more(body, entries, 0, depth, isList);
  };
  details.addEventListener("toggle", draw);
  draw();
  return details;
}

/** A small value on one line, or null. */
function oneLine(value) {
  const text = stringify(value);
  return text.length <= SHORT_LINE ? h("span", inline(value)) : null;
}

function inline(value) {
  if (value === null || typeof value !== "object") return [leaf(value)];
  const isList = Array.isArray(value);
  const items = isList ? value.map((item) => inline(item)) : Object.entries(value).map(([key, item]) => [name(key), inline(item)]);
  const spaced = items.flatMap((item, index) => (index ? [", ", item] : [item]));
  const [open, close] = isList ? "[]" : "{}";
  return [h("span.punctuation", open), isList ? spaced : [" ", spaced, " "], h("span.punctuation", close)];
}

function more(body, entries, first, depth, isList) {
  const last = Math.min(first + PAGE, entries.length);
  for (const [key, item] of entries.slice(first, last)) {
    body.append(h("div.item", isList ? h("span.index", `${key} `) : name(key), node(item, depth + 1)));
  }
  if (last === entries.length) return;
  const show = () => (button.remove(), more(body, entries, last, depth, isList));
  const button = h("button.quiet.more", { on: { click: show } }, `${counted(entries.length - last, "more item")}`);
  body.append(button);
}

function name(key) {
  return h("span.key", `${key}: `);
}

function leaf(value) {
  if (typeof value === "string") return text(value);
  const kind = value === null ? "null" : typeof value === "boolean" ? "boolean" : "number";
  return h(`span.${kind}`, stringify(value));
}

function text(value) {
  if (value.length <= LONGEST_TEXT) return h("span.string", quoted(value));
  const whole = h("span.string", quoted(value.slice(0, LONGEST_TEXT)));
  const show = () => (button.remove(), (whole.textContent = visible(quoted(value))));
  const button = h("button.quiet.more", { on: { click: show } }, `all ${counted(value.length, "character")}`);
  return h("span", whole, " ", button);
}

function quoted(value) {
  return `"${value.replaceAll("\n", "\u21b5\n")}"`;
}
