/** The list of executions: filtered by the address, a page at a time, newest first, and live. */

import { get, may, query } from "./api.js";
import { bulkDialog } from "./bulk.js";
import { fill, h } from "./dom.js";
import { filterForm, filtersOf } from "./filters.js";
import { ago, duration, functionName, instant, shortDigest } from "./format.js";
import { listKeys, onKey } from "./keys.js";
import { follow } from "./live.js";
import { atMostEvery } from "./pace.js";
import { chips, idLink, nothing, problemBox, statePill, tagTexts } from "./parts.js";
import { executionLink, go, link } from "./router.js";
import { keyedRows } from "./rows.js";

const PAGE = 50;
/** How often at most the page is read anew while executions come in. */
const REFRESH_MILLIS = 150;

/** @param {HTMLElement} place @param {import("./router.js").Route} route @param {AbortSignal} signal */
export function executionsPage(place, route, signal) {
  let search = route.query;
  let shown = [];
  const body = h("tbody");
  const rows = keyedRows(body, drawRow, (one) => one.execution_id);
  const table = h("table.list.executions", h("caption.unseen", "Executions, newest first"), h("thead", h("tr",
    ["State", "Function", "Execution", "Tags and labels", "Attempts", "Created", "Took", "Code"].map((title) => h("th", { scope: "col" }, title)))), body);
  const note = h("div", { "aria-live": "polite" });
  const pager = h("nav.pager", { "aria-label": "Pages of the list" });
  const filters = h("div");

  const bulk = h("button", { on: { click: () => bulkDialog(filtersOf(search)).then((done) => done && load()) } }, "Act on all\u2026");
  bulk.hidden = !may("operate");
  const showBulk = () => {
    const has = Object.keys(filtersOf(search)).length > 0;
    bulk.disabled = !has;
    bulk.title = has ? "" : "Filter first: there is no button for everything";
  };
  showBulk();
  place.append(h("div.page-head", h("h1", "Executions"), h("div.buttons", bulk, h("a.button.primary", { href: "#/functions" }, "Submit\u2026"))),
    filters, note, h("div.scroll", table), pager);
  drawFilters();
  onKey("/", "search", () => document.getElementById("search").focus(), signal);
  listKeys(body, "tr", signal);

  function drawFilters() {
    fill(filters, filterForm(filtersOf(search), (values) => go(link(["executions"], query(values)))));
  }

  async function load() {
    const asked = search;
    try {
      const found = await get(`executions${query({ ...filtersOf(search), cursor: search.get("cursor"), limit: PAGE })}`, signal);
      if (asked !== search) return;
      show(found);
    } catch (error) {
      if (!signal.aborted) fill(note, problemBox(error));
    }
  }

  function show(found) {
    shown = found.executions;
    rows.show(shown);
    table.hidden = !shown.length;
    fill(note, !shown.length && nothing(search.size ? "No execution is like this." : "Nothing has been submitted yet.", " ",
      search.size ? h("a", { href: "#/executions" }, "Show all") : h("a", { href: "#/functions" }, "Submit one")));
    const to = (cursor) => link(["executions"], query({ ...filtersOf(search), cursor }));
    fill(pager,
      search.get("cursor") && h("a.button", { href: to("") }, "Newest"),
      found.next && h("a.button", { href: to(found.next) }, "Older"));
  }

  const soon = atMostEvery(REFRESH_MILLIS, load, signal);
  follow("follow", {
    reset: load,
    execution(change) {
      const known = shown.find((one) => one.execution_id === change.execution_id);
      if (known) rows.update(Object.assign(known, { state: change.state, lifecycle: change.lifecycle, outcome: change.outcome }));
      if (known ? change.state === "finished" : !search.get("cursor")) soon();
    },
  }, signal);
  load();
  return {
    /** @param {import("./router.js").Route} next */
    update(next) {
      search = next.query;
      showBulk();
      if (!filters.contains(document.activeElement)) drawFilters();
      load();
    },
  };
}

function drawRow(one) {
  const took = one.state === "finished" && duration(instant(one.changed_at) - instant(one.created_at));
  return h("tr",
    h("td.state", statePill(one)),
    h("td.function", h("a", { href: executionLink(one.execution_id) }, functionName(one.ffqn))),
    h("td.mono", idLink(one.execution_id)),
    h("td.tags", chips(tagTexts(one.tags), "tag"), chips([...(one.labels ?? []), ...(one.submitted_labels ?? [])])),
    h("td.number", { "data-title": "attempts" }, one.attempts || ""),
    h("td.time", ago(one.created_at)),
    h("td.number", took),
    h("td.mono.dim", { title: one.component_digest }, `${one.component}`, h("span.digest", `@${shortDigest(one.component_digest)}`)));
}
