/** Changing what runs: a reload of the manifest, and the way back to an old generation. */

import { post } from "./api.js";
import { append, h } from "./dom.js";
import { ask, checkbox, say } from "./notices.js";

/** Ask for a change of what runs, with what may be lost, and tell the verdict. */
function change(title, words, confirm, carryOut, more) {
  return ask(title, (form) => {
    const remove = checkbox("components with unfinished executions may go");
    const broken = checkbox("calls of functions that go or change may fail");
    append(form, h("p", words), more, remove.row, broken.row);
    return async () => {
      const verdict = await carryOut({ allow_remove: remove.input.checked, allow_break: broken.input.checked });
      if (verdict.outcome === "refused") throw new Error(`refused at the stage ${verdict.stage}\n${verdict.text || verdict.message}`);
      say(verdict.outcome === "unchanged" ? "It was the active one already" : `Generation ${verdict.generation} is active`);
      return true;
    };
  }, { confirm, wide: true });
}

/** @param {any} _state @param {string} [plan] the token of a plan: only what it told is done */
export function reload(_state, plan) {
  return change("Reload the manifest?", "The daemon's file is checked, and becomes the next generation if nothing speaks against it.", "Reload",
    (wish) => post("manifest/reload", { ...wish, plan }));
}

/** @param {any} state of the manifest @param {number} [wanted] the generation that is proposed */
export function rollBack(state, wanted = Math.max(1, state.generation - 1)) {
  const number = h("input", { type: "text", inputmode: "numeric", value: wanted, "aria-label": "Generation" });
  return change("Roll back?", "A new generation is made of an old one, with its manifest and its code as they were then.", "Roll back",
    (wish) => post("manifest/rollback", { ...wish, generation: Number(number.value) }), h("label", "To generation", number));
}
