/** @file The packages that labelled texts are made from: fetched and unpacked by the corpus builder's own clients. */
import { type Fetch, type PackageName, withUnpacked } from "../../../corpus/build/packages.ts";
import { RECIPE } from "../../../corpus/build/recipe.ts";

export interface Unpacked {
  folder: string;
  /** Package and version, as the source of a text. */
  source: string;
}

/** The package as the recipe of the corpus names it. */
export function recipePackage(name: string): (typeof RECIPE)[number] {
  const found = RECIPE.find((item) => item.package === name);
  if (found === undefined) throw new Error(`the recipe of the corpus has no package ${name}`);
  return found;
}

/** Fetches packages of the recipe, and hands all of them, unpacked, to `use`. */
export async function withPackages<Name extends string, T>(
  fetch: Fetch,
  names: readonly Name[],
  use: (unpacked: Readonly<Record<Name, Unpacked>>) => Promise<T>,
): Promise<T> {
  const unpacked: Partial<Record<Name, Unpacked>> = {};
  const next = async (i: number): Promise<T> => {
    const name = names[i];
    if (name === undefined) return use(unpacked as Record<Name, Unpacked>);
    const wanted: PackageName = recipePackage(name);
    const { path, version } = await fetch(wanted);
    return withUnpacked(path, (folder) => {
      unpacked[name] = { folder, source: `${name} ${version}` };
      return next(i + 1);
    });
  };
  return next(0);
}
