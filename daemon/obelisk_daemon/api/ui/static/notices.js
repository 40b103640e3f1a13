/** What the page says in passing, also aloud, and the dialogs that ask. */

import { fill, h } from "./dom.js";

const LASTS = 5000;

/** Say something in passing. @param {string} text */
export function say(text, tone = "info") {
  const notice = h(`p.notice.${tone}`, text);
  document.getElementById("notices").append(notice);
  setTimeout(() => notice.remove(), tone === "bad" ? LASTS * 2 : LASTS);
}

/** Say what went wrong, unless it is only that the page was left. @param {any} error */
export function sayProblem(error) {
  if (error.name === "AbortError") return;
  say(error.code ? `${error.message}` : String(error), "bad");
}

/**
 * Open a dialog and wait for its end. `build` fills the form and may return what is asked when it is sent: the value
 * that the promise gives. A throw there is shown, and the dialog stays. Without an answer the promise gives null.
 * @param {string} title @param {(form: HTMLElement) => (() => any) | void} build
 * @param {{ confirm?: string, tone?: string, canCancel?: boolean, mayLeave?: boolean, wide?: boolean }} [options]
 * @returns {Promise<any>}
 */
export function ask(title, build, { confirm = "OK", tone = "primary", canCancel = true, mayLeave = true, wide = false } = {}) {
  const content = h("div.dialog-content");
  const trouble = h("div", { "aria-live": "assertive" });
  const confirmButton = h(`button.${tone}`, { type: "submit" }, confirm);
  const dialog = h("dialog", { "aria-label": title, class: wide ? "wide" : "" });
  return new Promise((resolve) => {
    let answer = null;
    const answerOf = build(content) ?? (() => true);
    const submit = async (event) => {
      event.preventDefault();
      confirmButton.disabled = true;
      try {
        answer = await answerOf();
        dialog.close();
      } catch (error) {
        fill(trouble, h("p.problem", error.message));
      } finally {
        confirmButton.disabled = false;
      }
    };
    const cancel = h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
    dialog.append(
      h("form", { on: { submit }, autocomplete: "off" }, h("h2", title), content, trouble,
        h("div.buttons", canCancel && cancel, confirmButton)),
    );
    dialog.addEventListener("cancel", (event) => !mayLeave && event.preventDefault());
    dialog.addEventListener("close", () => (dialog.remove(), resolve(answer)));
    document.body.append(dialog);
    dialog.showModal();
    (content.querySelector("input, select, textarea") ?? confirmButton).focus();
  });
}

/** Ask whether to do something. @param {string} title @param {string} text @returns {Promise<boolean>} */
export async function confirmed(title, text, confirm, tone = "primary") {
  return (await ask(title, (form) => void form.append(h("p", text)), { confirm, tone })) === true;
}

/** A labelled checkbox. @param {string} label @returns {{ row: HTMLElement, input: HTMLInputElement }} */
export function checkbox(label, checked = false) {
  const input = h("input", { type: "checkbox", checked });
  return { row: h("label.check", input, " ", label), input };
}
