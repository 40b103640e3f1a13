/** What a manifest would change, before it does: told by the daemon, drawn here. */

import { may, postText, query } from "./api.js";
import { fill, h } from "./dom.js";
import { counted, shortDigest } from "./format.js";
import { reload } from "./manifest_actions.js";
import { checkbox } from "./notices.js";
import { nothing, problemBox } from "./parts.js";

const TONES = { added: "ok", removed: "failed", changed: "running", unchanged: "neutral", changes: "running", refused: "failed" };

/** Diagnostics as the daemon writes them, each with its file, line and column, the line itself and what to do. */
export function toldBox(text) {
  return h("pre.told", { tabindex: "0", role: "region", "aria-label": "Diagnostics" }, text);
}

/** The view where a manifest is pasted, or the daemon's own file is looked at. */
export function planView(state, _search, _signal, done) {
  const source = h("textarea.code", { rows: "10", spellcheck: "false", placeholder: "Paste a manifest, or leave this empty to plan the daemon's own file", "aria-label": "Manifest" });
  const remove = checkbox("components with unfinished executions may go");
  const broken = checkbox("calls of functions that go or change may fail");
  const answer = h("div", { "aria-live": "polite" });
  const button = h("button.primary", { disabled: !may("admin"), title: may("admin") ? "" : "needs the role admin" }, "Plan");
  button.addEventListener("click", async () => {
    button.disabled = true;
    fill(answer, h("p.dim", "Checking, compiling and replaying\u2026"));
    try {
      const wish = { allow_remove: remove.input.checked, allow_break: broken.input.checked };
      fill(answer, report(await postText(`manifest/plan${query(wish)}`, source.value), source.value ? null : done));
    } catch (error) {
      fill(answer, problemBox(error));
    } finally {
      button.disabled = false;
    }
  });
  return h("div.component-list", source, h("div.options", remove.row, broken.row, button), answer);
}

function report(plan, done) {
  const go = () => reload(null, plan.token).then((changed) => changed && done());
  return [
    h("p", h(`span.pill.${TONES[plan.outcome]}`, plan.outcome), " ", plan.stage && `at the stage ${plan.stage} `,
      h("span.dim", `against generation ${plan.generation}`), " ", done && plan.outcome === "changes" && h("button", { on: { click: go } }, "Reload just this\u2026")),
    plan.text && toldBox(plan.text),
    (plan.components ?? []).map(componentBlock),
    settingsBlock(plan.settings),
    plan.outcome === "unchanged" && nothing("Nothing would change."),
  ];
}

/** What differs between two generations. @param {any} difference */
export function differenceView(difference) {
  const blocks = difference.components.map((one) => componentBlock({ ...one, digest_before: one.digest?.[0], digest_after: one.digest?.[1] }));
  const isEmpty = !blocks.length && !difference.settings.length;
  return h("div", blocks, settingsBlock(difference.settings), isEmpty && nothing("Nothing differs."));
}

function componentBlock(one) {
  const { interface: exported, replay } = one;
  return h("section.change-block", { "aria-label": one.name },
    h("h3", h(`span.pill.${TONES[one.change]}`, one.change), ` ${one.name} `, h("span.dim", one.kind)),
    (one.digest_before || one.digest_after) && h("p.changes", "code ", h("span.was", one.digest_before ? shortDigest(one.digest_before) : "none"), " \u2192 ",
      h("span.is", one.digest_after ? shortDigest(one.digest_after) : "none")),
    exported && exported.verdict !== "same" && h("p.changes", `interface: ${exported.verdict}`,
      ["added", "removed", "retyped"].filter((kind) => exported[kind].length).map((kind) => h("span", `; ${kind} ${exported[kind].join(", ")}`))),
    settingRows(one.settings),
    one.unfinished > 0 && h("p", `${counted(one.unfinished, "unfinished execution")}`, one.on_upgrade && `, on_upgrade = ${one.on_upgrade}`),
    replay && replayLine(replay));
}

/** What the replay gate found. */
function replayLine(replay) {
  const first = replay.first_divergence;
  return h("p", "replayed: ", h("span.pill.ok", `${replay.can_move ?? 0} can move`), " ", h(`span.pill.${replay.diverge ? "failed" : "neutral"}`, `${replay.diverge ?? 0} diverge`), " ",
    replay.unknown > 0 && h("span.pill.pending", `${replay.unknown} unknown`),
    first && h("span.dim", ` first: ${first.execution_id}${first.version === null ? "" : ` at version ${first.version}`}: ${first.message}`));
}

function settingsBlock(settings = []) {
  return settings.length > 0 && h("section.change-block", { "aria-label": "Settings" }, h("h3", "Settings"), settingRows(settings));
}

function settingRows(settings = []) {
  return settings.map((one) => h("p.changes", `${one.key} `, h("span.was", one.before ?? "none"), " \u2192 ", h("span.is", one.after ?? "none"),
    one.restart_only && h("span.dim", " (needs a restart)")));
}
