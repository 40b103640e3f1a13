// A workflow that does what it is told: the cheap half of interpreter-python's operations, with the same JSON in and out.

import { getRandomBytes } from "wasi:random/random@0.2.0";
import * as log from "obelisk:log/log@1.0.0";
import * as host from "obelisk:workflow/workflow-support@6.0.0";

// The operation `fail`: the program ends with an error.
class Returned extends Error {}

// An operation refers to something that there isn't; it is not carried out, and the program goes on.
class Skipped extends Error {}

// The exported interface testing:interpreter/interpreter. It is found by its name.
export const interpreter = {
  run(program) {
    const state = { joinSets: [], givenUp: new Set(), executions: [] };
    // Global, so that nothing is collected: what is left open is for the host to close.
    globalThis.kept = state;
    try {
      return canonical(run(state, JSON.parse(program, exactly)));
    } catch (error) {
      if (error instanceof Returned) throw error.message;
      if (error instanceof SyntaxError) throw `the program is no JSON: ${error.message}`;
      throw error;
    }
  },
};

function run(state, program) {
  return program.map((asked) => step(state, asked));
}

function step(state, asked) {
  switch (asked.op) {
    case "repeat":
      return Array.from({ length: asked.times }, () => run(state, asked.body));
    case "spin":
      return spin(asked.iterations);
    case "trap":
      return trap(asked.message ?? "trap");
    case "fail":
      throw new Returned(asked.message);
  }
  const gave = carryOut(state, asked);
  return asked.hide ? hidden(gave) : gave;
}

function carryOut(state, asked) {
  const operation = OPERATIONS[asked.op];
  if (operation === undefined) throw new Returned(`there is no operation ${asked.op}`);
  try {
    const gave = toJson(operation.carryOut(state, asked));
    return operation.returnsResult ? { ok: gave } : gave;
  } catch (error) {
    if (error instanceof Skipped) return { skipped: error.message };
    // An err of the host is thrown with the value as its payload.
    if (operation.returnsResult && Object.hasOwn(error, "payload")) return { err: toJson(error.payload) };
    throw error;
  }
}

// Leaves of a value only whether it is ok.
function hidden(gave) {
  const side = gave === null || typeof gave !== "object" ? undefined : ["ok", "err"].find((name) => name in gave);
  return side === undefined ? null : { [side]: null };
}

function spin(iterations) {
  let count = 0;
  for (let i = 0; i < iterations; i++) count += 1;
  return count;
}

function trap(message) {
  // Not an Error of ours, and not a string, so the bindings can't make an err of it.
  throw new TypeError(message);
}

// The operations. What makes a join set or an execution takes the next index before it asks, so that an operation that fails
// takes one as well: a program's indices are known before it runs.

const plain = (carryOut) => ({ carryOut, returnsResult: false });
const result = (carryOut) => ({ carryOut, returnsResult: true });

const OPERATIONS = {
  "join-set-create": plain((state) => state.joinSets.push(host.joinSetCreate()) - 1),
  "join-set-create-named": result((state, asked) => {
    const index = state.joinSets.push(null) - 1;
    state.joinSets[index] = host.joinSetCreateNamed(asked.name);
    return index;
  }),
  "join-set-close": plain((state, asked) => host.joinSetClose(giveUp(state, asked))),
  "join-set-id": plain((state, asked) => joinSet(state, asked).id()),
  "submit-json": result((state, asked) => {
    const index = state.executions.push(null) - 1;
    state.executions[index] = host.submitJson(joinSet(state, asked), functionOf(asked.function), text(asked.params));
    return state.executions[index];
  }),
  "submit-delay": plain((state, asked) => host.submitDelay(joinSet(state, asked), scheduleAt(asked.when))),
  "join-next": result((state, asked) => host.joinNext(joinSet(state, asked))),
  "join-next-try": result((state, asked) => host.joinNextTry(joinSet(state, asked))),
  "get-result-json": result((state, asked) => host.getResultJson(execution(state, asked))),
  sleep: result((_, asked) => host.sleep(scheduleAt(asked.when), asked.name)),
  "call-json": result((_, asked) => host.callJson(functionOf(asked.function), text(asked.params))),
  "execution-id-current": plain(() => host.executionIdCurrent()),
  "random-u64": plain((_, asked) => host.randomU64(BigInt(asked.min), BigInt(asked.max))),
  "random-u64-inclusive": plain((_, asked) => host.randomU64Inclusive(BigInt(asked.min), BigInt(asked.max))),
  "random-string": plain((_, asked) => host.randomString(asked.min, asked.max)),
  "wasi-random": plain((_, asked) => {
    const bytes = getRandomBytes(BigInt(asked.bytes));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }),
  "language-random": plain(() => Math.random()),
  clock: plain(() => Date.now()),
  log: plain((_, asked) => log[asked.level](asked.message)),
};

function joinSet(state, asked) {
  const found = state.joinSets[asked.set];
  if (found === undefined || found === null) throw new Skipped(`there is no join set ${asked.set}`);
  if (state.givenUp.has(asked.set) && !asked.reuse) throw new Skipped(`join set ${asked.set} was given up`);
  return found;
}

function giveUp(state, asked) {
  const found = joinSet(state, asked);
  state.givenUp.add(asked.set);
  return found;
}

function execution(state, asked) {
  const reference = asked.execution;
  const found = reference.id === undefined ? state.executions[reference] : reference;
  if (found === undefined || found === null) throw new Skipped(`there is no execution ${reference}`);
  return found;
}

// Between JSON and what the bindings make of WIT

// "now", {"at": {"seconds": s, "nanoseconds": n}} or {"in": {"seconds": s}} and the like.
function scheduleAt(when) {
  if (when === "now") return { tag: "now" };
  if (when.at) return { tag: "at", val: { seconds: BigInt(when.at.seconds), nanoseconds: when.at.nanoseconds } };
  const [[unit, amount]] = Object.entries(when.in);
  const isLong = unit === "milliseconds" || unit === "seconds";
  return { tag: "in", val: { tag: unit, val: isLong ? BigInt(amount) : amount } };
}

// An ffqn; as {"interface_name": i, "function_name": f} it may be anything.
function functionOf(name) {
  if (typeof name === "object") return { interfaceName: name.interface_name, functionName: name.function_name };
  const dot = name.lastIndexOf(".");
  return { interfaceName: name.slice(0, Math.max(dot, 0)), functionName: name.slice(dot + 1) };
}

// JSON text to send: a string is sent as it is, also where it is no JSON.
function text(value) {
  return typeof value === "string" ? value : canonical(value);
}

const SIDES = new Set(["ok", "err"]);

function toJson(value) {
  if (value === undefined || value === null) return null;
  if (typeof value !== "object") return value;
  if ("tag" in value) {
    const name = value.tag.replaceAll("-", "_");
    // A result keeps its side without a payload too; another case is then its name alone.
    return "val" in value || SIDES.has(name) ? { [name]: toJson(value.val) } : name;
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [snake(name), toJson(part)]));
}

function snake(camel) {
  return camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

// A JSON reviver that keeps the integers which a number can't hold.
function exactly(_, value, context) {
  const isLarge = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  return isLarge && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : value;
}

// JSON that is the same for the same value, in the Python and in the JavaScript interpreter.
function canonical(value) {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}
