/** Talking to `/v1`: the token, problems as errors, and JSON without loss. */

import { parse, stringify } from "./json.js";

const ROOT = new URL("v1/", document.baseURI);
const KEY = "obelisk-token";
const RANK = { read: 0, operate: 1, admin: 2 };

/** What the daemon said against a request, or that it could not be reached (`status` 0). */
export class Problem extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Who we are. `askForToken` is set by whoever can ask a person; it resolves when there is another token. */
export const session = {
  /** @type {string | null} */
  token: sessionStorage.getItem(KEY),
  name: "",
  role: "admin",
  /** @type {(problem: Problem) => Promise<void>} */
  askForToken: async () => {},
};

/** Keep a token for as long as this tab lives. @param {string | null} token */
export function keepToken(token) {
  session.token = token;
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

/** Tell if our token allows what needs this role. @param {"read" | "operate" | "admin"} role */
export function may(role) {
  return RANK[session.role] >= RANK[role];
}

/** Learn who we are; without a daemon that tells, everything is allowed. */
export async function learnRole() {
  const me = await get("me");
  session.name = me.name;
  session.role = me.role;
}

/** Write a query; what is empty is left out, lists are repeated. @param {Record<string, any>} values */
export function query(values) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "" && one !== false) search.append(name, String(one));
    }
  }
  const text = search.toString();
  return text && `?${text}`;
}

/** The path of an execution, and of what is below it. @param {string} id @param {string} [rest] */
export function executionPath(id, rest = "") {
  return `executions/${encodeURIComponent(id)}${rest && `/${rest}`}`;
}

/** @param {string} path below `/v1/` @param {AbortSignal} [signal] */
export function get(path, signal) {
  return send("GET", path, { signal });
}

/** Send a document. @param {string} path @param {any} [body] @param {AbortSignal} [signal] */
export function post(path, body, signal) {
  return send("POST", path, { body: body === undefined ? undefined : stringify(body), signal });
}

/** Send text as it is. @param {string} path @param {string} text */
export function postText(path, text) {
  return send("POST", path, { body: text, type: "text/plain" });
}

/** @param {string} path @param {any} body */
export function put(path, body) {
  return send("PUT", path, { body: stringify(body) });
}

async function send(method, path, { body, signal, type = "application/json" }) {
  const headers = body === undefined ? {} : { "content-type": type };
  const response = await request(path, { method, body, signal, headers });
  return parse(await response.text());
}

/**
 * Fetch with our token; asks for another one where it is refused.
 * @param {string} path @param {RequestInit} options @returns {Promise<Response>}
 */
export async function request(path, options) {
  for (;;) {
    const token = session.token;
    const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const response = await reached(new URL(path, ROOT), { ...options, headers });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (response.status !== 401) throw problem;
    if (session.token === token) await session.askForToken(problem);
  }
}

async function reached(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "the daemon can't be reached");
  }
}

async function problemOf(response) {
  try {
    const told = await response.json();
    return new Problem(response.status, told.code ?? "unknown", told.detail ?? response.statusText);
  } catch {
    return new Problem(response.status, "unknown", `${response.status} ${response.statusText}`);
  }
}

const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Make an execution id (a ULID), so that a submit may be sent twice and is carried out once. */
export function newExecutionId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  let time = Date.now();
  let head = "";
  for (let place = 0; place < 10; place++, time = Math.floor(time / 32)) head = LETTERS[time % 32] + head;
  return `E_${head}${Array.from(random, (byte) => LETTERS[byte % 32]).join("")}`;
}
