/** The manifest: what is active and was, why the last change was refused, what differs, and what a change would do. */

import { get, may, query } from "./api.js";
import { fill, h } from "./dom.js";
import { ago, shortDigest } from "./format.js";
import { follow } from "./live.js";
import { reload, rollBack } from "./manifest_actions.js";
import { differenceView, planView, toldBox } from "./manifest_plan.js";
import { card, facts, nothing, problemBox, tabs } from "./parts.js";
import { link } from "./router.js";

const VIEWS = [["generations", "Generations"], ["changes", "Changes"], ["plan", "Plan"], ["text", "Text"]];
const PAGE = 30;

/** @param {HTMLElement} place @param {import("./router.js").Route} route @param {AbortSignal} signal */
export function manifestPage(place, route, signal) {
  const head = h("div.component-list");
  const row = h("div");
  const view = h("div");
  let now = route;
  let state = null;
  place.append(head, h("section.card", { "aria-label": "Views" }, row, view));

  async function load() {
    try {
      state = await get("manifest", signal);
      fill(head, headOf(state, load));
    } catch (error) {
      if (!signal.aborted) fill(head, problemBox(error));
    }
  }

  async function show() {
    const name = VIEWS.some(([key]) => key === now.parts[1]) ? now.parts[1] : "generations";
    fill(row, tabs("Views of the manifest", VIEWS.map(([key, title]) => [key, title, link(["manifest", key])]), name));
    try {
      const shown = now;
      const content = await DRAW[name](state, now.query, signal, load);
      if (shown === now) fill(view, content);
    } catch (error) {
      if (!signal.aborted) fill(view, problemBox(error));
    }
  }

  const again = () => load().then(() => (now.parts[1] ?? "generations") === "generations" && show());
  follow("follow?executions=none", { generation: again, manifest: again, drift: again }, signal);
  load().then(show);
  return { update: (next) => ((now = next), show()) };
}

function headOf(state, done) {
  const allowed = may("admin");
  const button = (text, act) => h("button", { disabled: !allowed, title: allowed ? "" : "needs the role admin", on: { click: () => act(state).then((changed) => changed && done()) } }, text);
  return [
    h("div.page-head", h("h1", "Manifest"), h("div.buttons", button("Roll back\u2026", rollBack), button("Reload\u2026", reload))),
    facts([["generation", h("b", state.generation)], ["active", ago(state.activated_at)], ["by", state.cause], ["restored", state.restored], ["file", h("code", state.file)]]),
    state.refused && card(`The last change was refused: ${state.refused.stage}`, toldBox(state.refused.text)),
    h("div.alerts", state.drift.map((one) => h("p.alert", h("b", one.subject), ` ${one.message}`))),
    state.older_code.length > 0 && card("On older code", h("table.list", h("thead", h("tr", ["Component", "Function", "Code", "Unfinished"].map((title) => h("th", title)))),
      h("tbody", state.older_code.map((one) => h("tr", h("td", one.component), h("td", one.ffqn), h("td.mono", shortDigest(one.digest)),
        h("td.number", h("a", { href: link(["executions"], query({ ffqn: one.ffqn, digest: one.digest })) }, one.unfinished))))))),
  ];
}

async function generations(state, search, signal, done) {
  const found = await get(`manifest/generations${query({ before: search.get("before"), limit: PAGE })}`, signal);
  const rows = found.generations.map((one) => h("tr",
    h("td", h("a", { href: link(["manifest", "text"], query({ generation: one.generation })) }, one.generation)),
    h("td", one.generation === found.active && h("span.pill.ok", "active"), " ", one.cause, one.restored ? ` of ${one.restored}` : ""),
    h("td.time", ago(one.activated_at)), h("td.mono.dim", one.content_hash.replace(/^sha256:/, "").slice(0, 12)),
    h("td.number", one.generation > 1 && h("a", { href: link(["manifest", "changes"], query({ from: one.generation - 1, to: one.generation })) }, "changes"),
      one.generation !== found.active && may("admin") && h("button.quiet", { on: { click: () => rollBack(state, one.generation).then((changed) => changed && done()) } }, "roll back\u2026"))));
  return [
    h("div.scroll", h("table.list", h("thead", h("tr", ["Generation", "Cause", "Active since", "Content", ""].map((title) => h("th", title)))), h("tbody", rows))),
    found.next && h("a.button", { href: link(["manifest", "generations"], query({ before: found.next })) }, "Older"),
  ];
}

async function changes(state, search, signal) {
  const to = Number(search.get("to") ?? state.generation);
  const from = Number(search.get("from") ?? Math.max(1, to - 1));
  const field = (name, value) => h("input", { type: "text", inputmode: "numeric", name, value, "aria-label": name, size: "6" });
  const submit = (event) => {
    event.preventDefault();
    const { elements } = event.target;
    location.hash = link(["manifest", "changes"], query({ from: elements.from.value, to: elements.to.value }));
  };
  const form = h("form.options", { on: { submit } }, h("label", "From", field("from", from)), h("label", "To", field("to", to)), h("button", { type: "submit" }, "Compare"));
  if (from === to) return [form, nothing("That is one and the same.")];
  return [form, differenceView(await get(`manifest/diff${query({ from, to })}`, signal))];
}

async function text(_state, search, signal) {
  const found = await get(`manifest/generations/${Number(search.get("generation") ?? 0)}`, signal);
  return [
    facts([["generation", found.generation], ["active since", ago(found.activated_at)], ["by", found.cause]]),
    h("pre.wit", { tabindex: "0" }, found.manifest),
    facts(Object.entries(found.components).map(([name, digest]) => [name, h("code", { title: digest }, shortDigest(digest))])),
  ];
}

const DRAW = { generations, changes, plan: planView, text };
