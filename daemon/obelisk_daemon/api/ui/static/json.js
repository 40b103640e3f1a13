/** JSON without loss: a whole number that a double can't hold is a BigInt, and is written back as it came. */

const LONG = /\d{16}/;
const WHOLE = /^-?\d+$/;

/** Tell whether this browser shows a reviver the number as it was written; those before 2025 don't. */
export const isExact = JSON.parse("1", (_key, _value, context) => context?.source) === "1";

/** @param {string} text @returns {any} */
export function parse(text) {
  return LONG.test(text) ? JSON.parse(text, exactly) : JSON.parse(text);
}

function exactly(_key, value, context) {
  const isRounded = typeof value === "number" && !Number.isSafeInteger(value) && WHOLE.test(context?.source ?? "");
  return isRounded ? BigInt(context.source) : value;
}

/**
 * Write a value; with `indent`, each item on a line of its own unless all fits on one short line.
 * @param {any} value @param {number} [indent]
 */
export function stringify(value, indent = 0) {
  return write(value, indent, "");
}

function write(value, indent, margin) {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const inner = margin + " ".repeat(indent);
  const items = Array.isArray(value)
    ? value.map((item) => write(item, indent, inner))
    : Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => `${JSON.stringify(key)}:${indent ? " " : ""}${write(item, indent, inner)}`);
  if (!indent) return open + items.join(",") + close;
  const line = open + items.join(", ") + close;
  if (line.length <= 72 && !line.includes("\n")) return line;
  return `${open}\n${items.map((item) => inner + item).join(",\n")}\n${margin}${close}`;
}
