/** Where the page begins: the frame, then the page that the address names. */

import { tick } from "./format.js";
import { isExact } from "./json.js";
import { startKeys } from "./keys.js";
import { say } from "./notices.js";
import { dashboardPage } from "./page_dashboard.js";
import { executionPage } from "./page_execution.js";
import { executionsPage } from "./page_executions.js";
import { functionPage } from "./page_function.js";
import { functionsPage } from "./page_functions.js";
import { manifestPage } from "./page_manifest.js";
import { h } from "./dom.js";
import { start } from "./router.js";
import { showRole, startShell, takeToken } from "./shell.js";

/** @param {import("./router.js").Route} route */
function choose({ parts: [noun, name] }) {
  if (!noun) return { key: "dashboard", open: dashboardPage };
  if (noun === "executions" && name) return { key: `execution ${name}`, open: executionPage };
  if (noun === "executions") return { key: "executions", open: executionsPage };
  if (noun === "functions" && name) return { key: `function ${name}`, open: functionPage };
  if (noun === "functions") return { key: "functions", open: functionsPage };
  if (noun === "manifest") return { key: "manifest", open: manifestPage };
  return { key: `unknown ${noun}`, open: unknownPage };
}

function unknownPage(place) {
  place.append(h("h1", "There is no such page"), h("p", h("a", { href: "#/" }, "To the dashboard")));
}

takeToken();
startShell();
startKeys();
await showRole().catch(() => {});
start(document.getElementById("main"), choose);
setInterval(tick, 1000);
if (!isExact) say("This browser rounds whole numbers above 2^53; a newer one shows them exactly.", "bad");
