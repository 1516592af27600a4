/** @file The `monoscope` command as its users have it: built, which starts twice as fast as its source does. */
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "..");
const MAIN = join(ROOT, "dist/cli/main.js");

/** What follows the path of Node, before the command's own arguments. */
export const MONOSCOPE: readonly string[] = [MAIN];

/** Builds the command, unless nothing has changed since it was built. @throws Error when it does not compile */
export function buildCommand(): void {
  const built = statSync(MAIN, { throwIfNoEntry: false });
  if (built && built.mtimeMs > lastChange(join(ROOT, "src"))) return;
  const { status, stdout } = spawnSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the command does not compile:\n${stdout}`);
}

/** Milliseconds, of the youngest file below a folder. */
export function lastChange(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(...files.map(({ parentPath, name }) => statSync(join(parentPath, name)).mtimeMs));
}
