/** Rows that are kept in step with documents: only what changed is drawn, so that focus and selection stay. */

import { stringify } from "./json.js";

/**
 * @param {HTMLElement} parent
 * @param {(document: any) => HTMLElement} draw
 * @param {(document: any) => string} keyOf
 */
export function keyedRows(parent, draw, keyOf) {
  /** @type {Map<string, { text: string, row: HTMLElement }>} */
  const known = new Map();

  function rowOf(document) {
    const key = keyOf(document);
    const text = stringify(document);
    const before = known.get(key);
    if (before?.text === text) return before.row;
    const row = draw(document);
    row.dataset.key = key;
    if (before) {
      row.classList.toggle("current", before.row.classList.contains("current"));
      const hadFocus = before.row.contains(window.document.activeElement);
      before.row.replaceWith(row);
      if (hadFocus) row.querySelector("a")?.focus({ preventScroll: true });
    }
    known.set(key, { text, row });
    return row;
  }

  return {
    /** Show these documents, in this order, and no others. @param {any[]} documents */
    show(documents) {
      const kept = new Set(documents.map(keyOf));
      for (const [key, { row }] of known) if (!kept.has(key)) (row.remove(), known.delete(key));
      documents.forEach((document, place) => {
        const row = rowOf(document);
        if (parent.children[place] !== row) parent.insertBefore(row, parent.children[place] ?? null);
      });
    },
    /** Show one that is there already as it is now. @param {any} document */
    update(document) {
      if (known.has(keyOf(document))) rowOf(document);
    },
    /** @param {string} key */
    has: (key) => known.has(key),
  };
}
