/** Addresses are in the fragment, `#/executions/E_1/logs?x=1`: so a link works wherever the daemon is mounted. */

/** @typedef {{ parts: string[], query: URLSearchParams }} Route */

/** @returns {Route} */
export function here() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { parts: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(search) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Write an address. @param {string[]} parts @param {URLSearchParams | string} [query] */
export function link(parts, query = "") {
  const search = query.toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${search && `?${search.replace(/^\?/, "")}`}`;
}

/** The address of an execution's page. @param {string} id @param {...string} rest */
export function executionLink(id, ...rest) {
  return link(["executions", id, ...rest]);
}

/** Go to an address; `replace` leaves no step to come back to. @param {string} address */
export function go(address, replace = false) {
  if (address === location.hash) return;
  if (!replace) {
    location.hash = address;
    return;
  }
  history.replaceState(null, "", address);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/**
 * Show pages as the address changes. A page that gives an `update` is asked to follow a change below its own key.
 * @param {HTMLElement} outlet
 * @param {(route: Route) => { key: string, open: Function }} choose
 */
export function start(outlet, choose) {
  let current = { key: "", page: null, left: new AbortController() };
  const show = () => {
    const route = here();
    const { key, open } = choose(route);
    if (key === current.key && current.page?.update) {
      current.page.update(route);
      return;
    }
    current.left.abort();
    const left = new AbortController();
    const place = document.createElement("div");
    place.className = "page";
    outlet.replaceChildren(place);
    scrollTo(0, 0);
    current = { key, page: null, left };
    current.page = open(place, route, left.signal);
  };
  addEventListener("hashchange", show);
  show();
}
