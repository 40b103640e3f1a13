/** Functions as the API describes them, with their types in parts. */

import { get, query } from "./api.js";
import { fieldOf, partsField } from "./wit_fields.js";

/** @param {string} ffqn @param {AbortSignal} [signal] */
export async function readFunction(ffqn, signal) {
  return (await get(`functions${query({ ffqn, types: true })}`, signal)).functions[0];
}

/** The fields of a function's parameters, or null where a type has none. @param {any} described */
export function paramsField(described) {
  try {
    return partsField(described.types.params, "", false);
  } catch {
    return null;
  }
}

/** The field of what a function returns, or null. @param {any} described */
export function resultField(described) {
  try {
    return described.types.result ? fieldOf(described.types.result, "result") : null;
  } catch {
    return null;
  }
}
