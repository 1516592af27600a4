/** @file What commands call the folders that they were given, where the whole path would fill the line. */

/** The last part of each path, or the whole ones where last parts are alike. */
export function shortNames(paths: readonly string[]): string[] {
  const last = paths.map(
    (path) =>
      path
        .replace(/[/\\]+$/, "")
        .split(/[/\\]/)
        .at(-1)!,
  );
  return new Set(last).size === paths.length ? last : [...paths];
}
