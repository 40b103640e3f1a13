/** What surrounds every page: where one is, whether the daemon is heard, the theme, and the question for a token. */

import { keepToken, learnRole, session } from "./api.js";
import { fill, h } from "./dom.js";
import { showKeys } from "./keys.js";
import { connection } from "./live.js";
import { ask } from "./notices.js";

const THEMES = ["system", "light", "dark"];

/** Take `#token=...` from the address, where it would be seen, kept and shared. */
export function takeToken() {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (!found) return false;
  keepToken(found[1]);
  history.replaceState(null, "", "#/");
  return true;
}

/** Bring the frame to life. */
export function startShell() {
  startTheme();
  document.getElementById("keys").addEventListener("click", showKeys);
  document.querySelector("a.skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
  const state = document.getElementById("connection");
  connection.addEventListener("change", (event) => {
    const isLost = event.detail === "lost";
    state.classList.toggle("lost", isLost);
    fill(state, isLost ? "connecting\u2026" : "live");
  });
  addEventListener("hashchange", markPlace);
  // An address with a token that is opened in a tab with this page loads nothing anew.
  addEventListener("hashchange", () => takeToken() && location.reload());
  markPlace();
  session.askForToken = askForToken;
}

function markPlace() {
  const place = location.hash.split(/[/?]/)[1] ?? "";
  for (const anchor of document.querySelectorAll("#nav a")) {
    const isHere = anchor.getAttribute("href").split("/")[1] === place;
    if (isHere) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function startTheme() {
  const button = document.getElementById("theme");
  const show = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    fill(button, { system: "Auto", light: "Light", dark: "Dark" }[theme]);
    button.title = `Theme: ${theme}`;
  };
  let theme = localStorage.getItem("obelisk-theme") ?? "system";
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    if (theme === "system") localStorage.removeItem("obelisk-theme");
    else localStorage.setItem("obelisk-theme", theme);
    show(theme);
  });
  show(theme);
}

/** Show who we are, and what that hides: buttons that need more are marked with the role they need. */
export async function showRole() {
  await learnRole();
  document.documentElement.dataset.role = session.role;
  const place = document.getElementById("who");
  const leave = () => (keepToken(null), location.reload());
  fill(place, session.name && h("span", { title: `role: ${session.role}` }, `${session.name} \u00b7 ${session.role}`),
    session.token && h("button.quiet", { on: { click: leave } }, "Forget token"));
}

let asking = null;

/** Ask once, however many requests were refused together. @param {{ message: string }} problem */
function askForToken(problem) {
  asking ??= ask("Token", (form) => {
    const input = h("input", { type: "password", name: "token", autocomplete: "off", "aria-label": "Token", required: true });
    form.append(
      h("p", session.token ? `This token was refused: ${problem.message}.` : "This daemon wants a token."),
      h("label", "Token", input),
      h("p.dim", "Kept in this tab only. ", h("code", "obelisk-ctl token new"), " makes one."),
    );
    return () => keepToken(input.value.trim());
  }, { confirm: "Use it", canCancel: false, mayLeave: false }).then(() => {
    asking = null;
    showRole().catch(() => {});
  });
  return asking;
}
