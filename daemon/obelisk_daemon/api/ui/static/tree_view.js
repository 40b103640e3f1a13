/** The descendants of an execution, nested, and kept up to date by what comes live. */

import { executionPath, get, query } from "./api.js";
import { fill, h } from "./dom.js";
import { duration, functionName, instant } from "./format.js";
import { sayProblem } from "./notices.js";
import { idLink, nothing, statePill } from "./parts.js";
import { executionLink, link } from "./router.js";

const MOST = 300;
const DEPTH = 8;

/** @param {string} id @param {AbortSignal} signal */
export function treeView(id, signal) {
  /** @type {Map<string, { line: HTMLElement, below: HTMLElement }>} */
  const nodes = new Map();
  const root = h("ul.tree", { role: "tree", "aria-label": "Children" });
  const note = h("p.dim");
  const element = h("div", root, note);
  nodes.set(id, { line: root, below: root });
  let isOpen = false;
  let isCut = false;

  function put(one, parentId) {
    const known = nodes.get(one.execution_id);
    if (known) {
      fill(known.line, words(one));
      return known;
    }
    const parent = nodes.get(parentId);
    if (!parent || nodes.size > MOST) {
      isCut = true;
      return null;
    }
    const line = h("div.line", words(one));
    const below = h("ul", { role: "group" });
    nodes.set(one.execution_id, { line, below });
    parent.below.append(h("li", { role: "treeitem" }, line, below));
    return nodes.get(one.execution_id);
  }

  function putAll(children, parentId) {
    for (const child of children ?? []) {
      put(child, parentId);
      isCut ||= child.more;
      putAll(child.children, child.execution_id);
    }
  }

  function tell() {
    fill(note, nodes.size === 1 && nothing("No children."), isCut && ["There are more. ",
      h("a", { href: link(["executions"], query({ parent: id })) }, "List all children")]);
  }

  return {
    element,
    async open() {
      if (isOpen) return;
      isOpen = true;
      try {
        const tree = await get(executionPath(id, "tree") + query({ depth: DEPTH, limit: MOST }), signal);
        isCut = tree.more;
        putAll(tree.children, id);
        tell();
      } catch (error) {
        isOpen = false;
        sayProblem(error);
      }
    },
    /** Take a descendant that is new or has changed. @param {any} child */
    take(child) {
      if (!isOpen) return;
      put(child, child.parent_id);
      tell();
    },
  };
}

function words(one) {
  const isOver = one.state === "finished" && one.changed_at && one.created_at;
  return [
    statePill(one),
    h("a", { href: executionLink(one.execution_id) }, functionName(one.ffqn)),
    idLink(one.execution_id, one.execution_id.slice(one.execution_id.lastIndexOf(".") + 1)),
    isOver && h("span.dim", duration(instant(one.changed_at) - instant(one.created_at))),
  ];
}
