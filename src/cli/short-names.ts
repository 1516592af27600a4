/** @file What commands call the folders that they were given, where the whole path would fill the line. */

/** The last part of each path, or as many of the last parts as tell them apart. */
export function shortNames(paths: readonly string[]): string[] {
  const parts = paths.map((path) => path.replace(/[/\\]+$/, "").split(/[/\\]/));
  const most = Math.max(...parts.map(({ length }) => length));
  for (let n = 1; n < most; n++) {
    const names = parts.map((each) => each.slice(-n).join("/"));
    if (new Set(names).size === names.length) return names;
  }
  return [...paths];
}
