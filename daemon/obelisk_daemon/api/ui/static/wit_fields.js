/** Fields for the WIT types that have parts. A type is as `GET /v1/functions?types=true` gives it. */

import { fill, h } from "./dom.js";
import { bytesField, primitiveField } from "./wit_scalars.js";

/** @typedef {import("./wit_scalars.js").Field} Field */

/** The name of a WIT thing in JSON. @param {string} name */
export const snake = (name) => name.replace(/^%/, "").replaceAll("-", "_");

/** Make the field of a type. @param {any} type @param {string} path what messages call it @returns {Field} */
export function fieldOf(type, path) {
  const make = MAKERS[type.type];
  if (!make) throw new Error(`${path}: ${type.type} has no JSON`);
  return make(type, path);
}

const MAKERS = {
  primitive: ({ name }, path) => primitiveField(name, path),
  list: ({ element }, path) => (element.type === "primitive" && element.name === "u8" ? bytesField(path) : listField(element, path)),
  tuple: ({ elements }, path) => partsField(elements.map((type, place) => [String(place), type]), path, false),
  record: ({ fields }, path) => partsField(fields.map(([name, type]) => [snake(name), type]), path, true),
  variant: ({ cases }, path) => caseField(cases.map(([name, type]) => [snake(name), type]), path, "case"),
  enum: ({ names }, path) => caseField(names.map((name) => [snake(name), null]), path, "enum"),
  result: ({ ok, err }, path) => resultField(ok, err, path),
  flags: ({ names }, path) => flagsField(names.map(snake), path),
  option: ({ inner }, path) => optionField(inner, path),
};

/** Several named parts: a record, a tuple, or the parameters of a function. */
export function partsField(parts, path, isRecord) {
  const fields = parts.map(([name, type]) => [name, fieldOf(type, path ? `${path}.${name}` : name), type]);
  const element = h("div.parts", fields.map(([name, field, type]) => h("div.part", h("span.part-name", name, h("span.type", typeWord(type))), field.element)));
  return {
    element,
    get: () => (isRecord ? Object.fromEntries(fields.map(([name, field]) => [name, field.get()])) : fields.map(([, field]) => field.get())),
    set: (value) => fields.forEach(([name, field], place) => {
      const part = isRecord ? value[name] : value[place];
      if (part !== undefined) field.set(part);
    }),
  };
}

/** A short word for a type, beside a name. */
export function typeWord(type) {
  if (type.type === "primitive") return type.name;
  if (type.type === "list") return `list<${typeWord(type.element)}>`;
  if (type.type === "option") return `option<${typeWord(type.inner)}>`;
  return type.type;
}

function listField(element, path) {
  let items = [];
  const rows = h("ol.list-items");
  const draw = () => fill(rows, items.map((field, place) => {
    const remove = () => ((items = items.filter((one) => one !== field)), draw());
    return h("li", field.element, h("button.icon.quiet", { type: "button", title: "Remove", "aria-label": `Remove item ${place} of ${path}`, on: { click: remove } }, "\u00d7"));
  }));
  const add = () => {
    const field = fieldOf(element, `${path}[${items.length}]`);
    items.push(field);
    draw();
    return field;
  };
  const button = h("button.quiet", { type: "button", on: { click: () => add().element.querySelector?.("input, textarea, select")?.focus() } }, "+ item");
  return {
    element: h("div.list-field", rows, button),
    get: () => items.map((field) => field.get()),
    set: (value) => ((items = []), value.forEach((item) => add().set(item))),
  };
}

/** One of several cases, with the payload of the chosen one. */
function caseField(cases, path, kind) {
  const select = h("select", { name: path, "aria-label": `${path}: ${kind}` }, cases.map(([name]) => h("option", { value: name }, name)));
  const payload = h("div.payload");
  let field = null;
  const choose = () => {
    const type = cases.find(([name]) => name === select.value)?.[1];
    field = type ? fieldOf(type, `${path}.${select.value}`) : null;
    fill(payload, field?.element);
  };
  select.addEventListener("change", choose);
  choose();
  return {
    element: h("div.case-field", select, payload),
    get: () => (field ? { [select.value]: field.get() } : select.value),
    set: (value) => {
      select.value = snake(typeof value === "string" ? value : Object.keys(value)[0]);
      choose();
      if (field) field.set(Object.values(value)[0]);
    },
  };
}

function resultField(ok, err, path) {
  const { element, get, set } = caseField([["ok", ok], ["err", err]], path, "result");
  const whole = (value) => (typeof value === "string" ? { [value]: null } : value);
  return { element, get: () => whole(get()), set: (value) => set(Object.values(value)[0] === null ? Object.keys(value)[0] : value) };
}

function flagsField(names, path) {
  const boxes = names.map((name) => [name, h("input", { type: "checkbox", name: `${path}.${name}` })]);
  return {
    element: h("div.flags", boxes.map(([name, box]) => h("label.check", box, ` ${name}`))),
    get: () => boxes.filter(([, box]) => box.checked).map(([name]) => name),
    set: (value) => boxes.forEach(([name, box]) => (box.checked = value.map(snake).includes(name))),
  };
}

function optionField(inner, path) {
  const isNested = inner.type === "option";
  const box = h("input", { type: "checkbox", name: `${path}?`, "aria-label": `${path}: some` });
  const place = h("div.payload");
  let field = null;
  const choose = () => {
    field = box.checked ? (field ?? fieldOf(inner, path)) : null;
    fill(place, field?.element);
  };
  box.addEventListener("change", choose);
  return {
    element: h("div.option-field", h("label.check", box, " some"), place),
    get: () => (!field ? null : isNested ? { some: field.get() } : field.get()),
    set: (value) => {
      box.checked = value !== null && value !== undefined;
      choose();
      if (field) field.set(isNested ? value.some : value);
    },
  };
}
