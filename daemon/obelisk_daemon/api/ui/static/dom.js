/** Making elements. Data becomes text nodes and attributes here, and is never read as markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element: `h("button.primary", { on: { click }, disabled: true }, "Save")`.
 * @param {string} what a tag, with classes after dots
 * @param {...any} rest attributes first if given, then children: nodes, text, lists of them; null and false are skipped
 * @returns {any}
 */
export function h(what, ...rest) {
  const [tag, ...classes] = what.split(".");
  return filled(document.createElement(tag), classes, rest);
}

/** The same for SVG. @returns {any} */
export function svg(what, ...rest) {
  const [tag, ...classes] = what.split(".");
  return filled(document.createElementNS(SVG, tag), classes, rest);
}

function filled(element, classes, rest) {
  if (classes.length) element.setAttribute("class", classes.join(" "));
  const children = isAttributes(rest[0]) ? rest.slice(1) : rest;
  if (isAttributes(rest[0])) assign(element, rest[0]);
  append(element, children);
  return element;
}

function isAttributes(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Node);
}

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);

function assign(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, call] of Object.entries(value)) element.addEventListener(event, call);
    else if (name === "class") element.classList.add(...String(value).split(" ").filter(Boolean));
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
}

/** Append children as `h` takes them. */
export function append(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : visible(String(child)));
  }
  return element;
}

/** Put children in place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren();
  return append(element, ...children);
}

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f\u0080-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Show what would be unseen or change the order of letters: a guest may write what it likes. @param {string} text */
export function visible(text) {
  return text.replace(HIDDEN, (found) => {
    const code = found.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}
