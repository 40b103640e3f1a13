/** What a person does to an execution: each button asks what it must, does it, and says what came of it. */

import { executionPath, get, may, newExecutionId, post } from "./api.js";
import { append, fill, h } from "./dom.js";
import { readFunction, resultField } from "./functions.js";
import { counted, shortDigest } from "./format.js";
import { ask, checkbox, confirmed, say, sayProblem } from "./notices.js";
import { facts } from "./parts.js";
import { executionLink, go, link } from "./router.js";
import { valueForm } from "./value_form.js";
import { valueTree } from "./value.js";

/**
 * The buttons that make sense for an execution as it is.
 * @param {any} one @param {string} kind of its function @param {() => void} done called after each change
 */
export function actionButtons(one, kind, done) {
  const isOver = one.state === "finished";
  const isWorkflow = kind === "workflow";
  const button = (text, act, tone = "") => {
    const click = () => act(one).then((changed) => changed && done(), sayProblem);
    return h(`button${tone}`, { disabled: !may("operate"), title: may("operate") ? "" : "needs the role operate", on: { click } }, text);
  };
  return [
    !isOver && kind === "stub" && button("Give result\u2026", stub, ".primary"),
    !isOver && one.lifecycle === "active" && button("Pause", pause),
    !isOver && one.lifecycle === "paused" && button("Resume", resume, ".primary"),
    !isOver && button("Cancel\u2026", cancel, ".danger"),
    isOver && button("Retry", retry),
    h("a.button", { href: link(["functions", one.ffqn], `from=${encodeURIComponent(one.execution_id)}`), hidden: !may("operate") }, "Submit like it\u2026"),
    !isOver && isWorkflow && button("Upgrade\u2026", upgrade),
    isWorkflow && button("Replay", replay),
  ];
}

async function pause(one) {
  const done = await post(executionPath(one.execution_id, "pause"));
  say(done.changed ? "Paused" : "It was paused already");
  return true;
}

async function resume(one) {
  const done = await post(executionPath(one.execution_id, "resume"));
  say(done.changed ? "Resumed" : "It was not paused");
  return true;
}

function cancel(one) {
  return ask("Cancel this execution?", (form) => {
    const force = checkbox("force: also workflows that may not be cancelled, all the way down");
    form.append(h("p", "It ends as cancelled, and so do its children."), force.row);
    return async () => {
      const done = await post(executionPath(one.execution_id, "cancel"), { force: force.input.checked });
      say(done.already_finished ? "It had finished already" : `${counted(done.reached, "execution")} cancelled${done.awaited ? `, ${done.awaited} awaited` : ""}`);
      return true;
    };
  }, { confirm: "Cancel it", tone: "danger" });
}

async function retry(one) {
  const known = newExecutionId();
  if (!(await confirmed("Retry?", "The same function is called with the same parameters, as a new execution.", "Retry"))) return false;
  await post(executionPath(one.execution_id, "retry"), { execution_id: known });
  go(executionLink(known));
  return false;
}

async function stub(one) {
  const described = await readFunction(one.ffqn);
  return ask("Give its result", (form) => {
    const value = valueForm(resultField(described), "Result");
    append(form, h("p.mono.dim", described.returns ?? "returns nothing"), value.element);
    return async () => {
      await post(executionPath(one.execution_id, "stub"), described.returns ? value.get() : null);
      say("The result is given");
      return true;
    };
  }, { confirm: "Give it", wide: true });
}

function upgrade(one) {
  return ask("Move to the current code?", (form) => {
    const force = checkbox("force: without a replay before; if its log diverges, it is paused when it runs next");
    form.append(h("p", "Its log is replayed on the current code, and if that goes on with it, the execution moves there."), force.row);
    return async () => {
      const done = await post(executionPath(one.execution_id, "upgrade"), { force: force.input.checked });
      say(done.changed ? `It is on ${shortDigest(done.component_digest)} now` : "It was on the current code already");
      return true;
    };
  }, { confirm: "Upgrade" });
}

async function replay(one) {
  const report = await post(executionPath(one.execution_id, "replay"));
  await ask("Replay on the current code", (form) => void append(form,
    h("p", h(`span.pill.${report.passed ? "ok" : "err"}`, report.passed ? "goes on" : "diverges"), " ", report.summary),
    facts([
      ["code", h("code", shortDigest(report.component_digest))],
      ["at version", report.version],
      ["expected", report.expected && h("code", report.expected)],
      ["got", report.got && h("code", report.got)],
      ["result", report.result && valueTree(report.result)],
    ])), { confirm: "Close", canCancel: false, wide: true });
  return false;
}

/** Why an execution does not run, where it doesn't. @param {HTMLElement} place @param {any} one @param {AbortSignal} signal */
export async function showWhy(place, one, signal) {
  if (one.state === "finished" || (one.state === "locked" && one.lifecycle === "active")) return fill(place);
  const why = await get(executionPath(one.execution_id, "why"), signal);
  fill(place, h("section.why", { "aria-label": "Why it isn't running" }, h("h2", "Why it isn\u2019t running"),
    h("ol", why.reasons.map((reason) => h("li", `It ${reason.text.replace(/^it /i, "")}`,
      reason.execution_id && [" ", h("a", { href: executionLink(reason.execution_id) }, "that execution")],
      (reason.commands ?? []).map((command) => h("code.command", command)))))));
}
