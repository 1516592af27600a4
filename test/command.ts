/** @file The `monoscope` command as its users have it: built, which starts twice as fast as its source does, unless the source has changed since. */
import { join, resolve } from "node:path";
import { isFresh } from "./fresh.ts";

const ROOT = resolve(import.meta.dirname, "..");
const BUILT = join(ROOT, "dist/cli/main.js");
const SOURCE = join(ROOT, "src/cli/main.ts");

/** What follows the path of Node, before the command's own arguments. */
export const MONOSCOPE: readonly string[] = isFresh(BUILT, join(ROOT, "src")) ? [BUILT] : ["--import", import.meta.resolve("tsx"), SOURCE];
