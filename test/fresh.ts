/** @file Whether what was built is of the source as it is. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Whether a file is younger than all files below a folder, and than some others. */
export function isFresh(file: string, folder: string, ...others: string[]): boolean {
  const built = statSync(file, { throwIfNoEntry: false });
  if (built === undefined) return false;
  const sources = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = [...sources.map(({ parentPath, name }) => join(parentPath, name)), ...others];
  return paths.every((path) => statSync(path).mtimeMs < built.mtimeMs);
}
