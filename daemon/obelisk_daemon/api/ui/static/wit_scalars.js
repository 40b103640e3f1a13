/** Fields for the WIT types without parts, and for bytes. Each gives its element, and reads and sets its value. */

import { h } from "./dom.js";

/** @typedef {{ element: HTMLElement, get: () => any, set: (value: any) => void }} Field */

/** What is wrong with a field; the field is shown to be so. */
export class FieldError extends Error {}

const WHOLE = /^[su](8|16|32|64)$/;
const SPECIAL = ["NaN", "Infinity", "-Infinity"];

/** @param {string} name of a primitive type @param {string} path @returns {Field} */
export function primitiveField(name, path) {
  if (name === "bool") return boolField(path);
  if (WHOLE.test(name)) return textField(path, name, (text) => whole(name, text), "numeric");
  if (name === "f32" || name === "f64") return textField(path, name, (text) => fraction(name, text), "decimal");
  if (name === "char") return textField(path, "char", (text) => {
    if ([...text].length !== 1) throw new FieldError("one character");
    return text;
  });
  return longTextField(path);
}

function boolField(path) {
  const input = h("input", { type: "checkbox", name: path });
  return { element: h("label.check", input, " true"), get: () => input.checked, set: (value) => (input.checked = value === true) };
}

function textField(path, type, read, inputmode = "text") {
  const input = h("input", { type: "text", name: path, placeholder: type, inputmode, spellcheck: "false", autocomplete: "off", "aria-label": `${path}: ${type}` });
  const get = () => checked(input, path, () => read(type === "char" ? input.value : input.value.trim()));
  return { element: input, get, set: (value) => (input.value = String(value)) };
}

function longTextField(path) {
  const input = h("textarea", { name: path, placeholder: "string", rows: "1", spellcheck: "false", "aria-label": `${path}: string` });
  return { element: input, get: () => input.value, set: (value) => (input.value = String(value)) };
}

/** Bytes as text or as hexadecimal digits. @param {string} path @returns {Field} */
export function bytesField(path) {
  const input = h("textarea", { name: path, rows: "1", spellcheck: "false", placeholder: "list<u8>", "aria-label": `${path}: list<u8>` });
  const mode = h("select", { "aria-label": "Written as" }, h("option", { value: "text" }, "UTF-8 text"), h("option", { value: "hex" }, "hex"));
  const get = () => checked(input, path, () => (mode.value === "text" ? [...new TextEncoder().encode(input.value)] : fromHex(input.value)));
  const set = (value) => {
    mode.value = "hex";
    input.value = value.map((byte) => Number(byte).toString(16).padStart(2, "0")).join(" ");
  };
  return { element: h("div.inline", input, mode), get, set };
}

/** Run `read`; where it fails, mark the input and say where. */
export function checked(input, path, read) {
  try {
    const value = read();
    input.removeAttribute("aria-invalid");
    return value;
  } catch (error) {
    input.setAttribute("aria-invalid", "true");
    input.focus();
    throw new FieldError(`${path}: ${error.message}`);
  }
}

function fromHex(text) {
  const digits = text.replace(/^0x/, "").replace(/\s/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new FieldError("pairs of hexadecimal digits");
  return (digits.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
}

function whole(name, text) {
  const bits = BigInt(name.slice(1));
  const [low, high] = name[0] === "u" ? [0n, (1n << bits) - 1n] : [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n];
  if (!/^[-+]?\d[\d_]*$/.test(text)) throw new FieldError(`a whole number (${name})`);
  const value = BigInt(text.replaceAll("_", "").replace(/^\+/, ""));
  if (value < low || value > high) throw new FieldError(`from ${low} to ${high} (${name})`);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function fraction(name, text) {
  if (SPECIAL.includes(text)) return text;
  const value = Number(text);
  if (!text || !Number.isFinite(value)) throw new FieldError(`a number, NaN, Infinity or -Infinity (${name})`);
  return value;
}
