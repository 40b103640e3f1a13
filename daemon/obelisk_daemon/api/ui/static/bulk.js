/** Acting on all executions that the filters find: counted first, then done in steps that can be stopped. */

import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { filterDocument } from "./filters.js";
import { count, counted } from "./format.js";
import { ask, checkbox, say } from "./notices.js";
import { idLink } from "./parts.js";

const ACTIONS = [["cancel", "Cancel"], ["pause", "Pause"], ["resume", "Resume"], ["retry", "Retry the finished ones"]];
const MOST_REFUSALS = 20;

/** Ask what to do, and do it. @param {Record<string, any>} filters @returns {Promise<boolean>} whether anything was done */
export async function bulkDialog(filters) {
  const done = await ask("Act on all that match", (form) => {
    const action = h("select", { "aria-label": "Action" }, ACTIONS.map(([value, word]) => h("option", { value }, word)));
    const force = checkbox("force: also what isn't cancellable");
    const told = h("p", { "aria-live": "polite" }, "Counting\u2026");
    const described = Object.entries(filters).map(([name, value]) => h("code.chip", `${name}=${[value].flat().join(",")}`));
    form.append(h("p", described), h("label", "Action", action), force.row, told);
    const wish = () => ({ action: action.value, filter: filterDocument(filters), force: force.input.checked });
    let turn = 0;
    /** What was created later than the count began is not meant: a retry is not retried in turn. */
    let asOf;
    const recount = async () => {
      const mine = ++turn;
      force.row.hidden = action.value !== "cancel";
      try {
        const total = await through({ ...wish(), dry_run: true }, (sum) => {
          if (mine !== turn) return;
          asOf = sum.as_of;
          fill(told, `${count(sum.matched)} so far\u2026`);
        }, () => mine !== turn);
        if (mine === turn) fill(told, h("b", counted(total.matched, "execution")), ` would be asked to ${action.value}.`);
      } catch (error) {
        fill(told, error.message);
      }
    };
    action.addEventListener("change", recount);
    recount();
    return async () => {
      turn++;
      const { filter, ...wanted } = wish();
      asOf ??= (await post("executions/bulk", { ...wanted, filter, dry_run: true })).as_of;
      return through({ ...wanted, filter: { ...filter, created_before: asOf }, dry_run: false }, (sum) => fill(told, `${count(sum.changed)} of ${count(sum.matched)} changed\u2026`), () => !told.isConnected);
    };
  }, { confirm: "Do it", tone: "danger" });
  if (!done) return false;
  say(`${counted(done.changed, "execution")} changed, ${count(done.unchanged)} as they were, ${count(done.refused.length)} refused`);
  if (done.refused.length) showRefused(done.refused);
  return true;
}

/** Go on from `next` to `next` until all is done or nobody wants it. */
async function through(wish, progress, isStopped) {
  const sum = { matched: 0, changed: 0, unchanged: 0, refused: [] };
  let cursor;
  let filter = wish.filter;
  do {
    const step = await post("executions/bulk", { ...wish, filter, cursor });
    filter = { ...filter, created_before: step.as_of };
    sum.as_of = step.as_of;
    for (const name of ["matched", "changed", "unchanged"]) sum[name] += step[name] ?? 0;
    sum.refused.push(...(step.refused ?? []));
    cursor = step.next;
    progress(sum);
  } while (cursor && !isStopped());
  return sum;
}

function showRefused(refused) {
  const rows = refused.slice(0, MOST_REFUSALS).map((one) => h("li", idLink(one.execution_id), " ", one.message));
  ask("Refused", (form) => void form.append(h("ul.plain", rows), refused.length > MOST_REFUSALS && h("p", `and ${refused.length - MOST_REFUSALS} more`)), {
    confirm: "Close", canCancel: false, wide: true,
  });
}
