// Make a component of a JavaScript module: node componentize.mjs SOURCE WIT WORLD OUTPUT [DISABLED_FEATURE...]
//
// jco's command does the same for most; this asks for exactly the WASI features that the component is to import.

import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { componentize } from "@bytecodealliance/componentize-js";

const [source, wit, world, output, ...disableFeatures] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: source,
  witPath: resolve(wit),
  worldName: world,
  disableFeatures,
});
await writeFile(output, component);
