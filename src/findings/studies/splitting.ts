/** @file The study of splitting: what became of three features of the smallest autoencoder in the larger ones, and how many features of these are new. Templeton et al. 2024, "Feature neighborhoods". */
import { ArgumentError } from "../../errors.ts";
import { storedComparisons } from "../../features/relations.ts";
import { type Branch, newFeatures, relateFamily, splitFeature } from "../../features/split.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { readConceptSets } from "../concepts/concept-set.ts";
import { markdownTable, type StudiedMember, type Study } from "../study.ts";
import { studyFamily } from "./concepts.ts";

interface Node {
  readonly member: string;
  readonly feature: number;
  /** With the feature above it. */
  readonly cosine?: number;
  /** Where it fires most often. */
  readonly words: readonly string[];
  readonly description?: string;
  readonly successors: readonly Node[];
  /** Successors that are not shown. */
  readonly omitted: number;
}

export interface Splitting {
  readonly trees: readonly { readonly concept: string; readonly tree: Node }[];
  /** Of each larger autoencoder: features that fire and have no ancestor in the one before. */
  readonly newFeatures: Readonly<Record<string, { readonly count: number; readonly alive: number }>>;
}

// Of each of these families of concepts, the one that the smallest autoencoder tells best: what it has no feature for cannot be followed.
const FAMILIES = ["landmarks", "languages", "emotions"];
const SHOWN = 4;
const WORDS = 4;

export const splitting: Study<Splitting> = {
  name: "splitting",
  title: "what became of features in larger autoencoders",
  uses: {},
  async run({ model, family, signal, onProgress }) {
    if (family.length < 2) throw new ArgumentError("splitting is seen between autoencoders of several sizes; name at least two");
    const saes = family.map(({ sae }) => sae);
    const member = (sae: unknown) => family.find((each) => each.sae === sae)!;
    const related = await relateFamily(saes, { known: (a, b) => storedComparisons(member(a), member(b)), signal });
    const trees: { concept: string; tree: Node }[] = [];
    const sets = await readConceptSets();
    const smallest = family[0]!;
    for (const name of FAMILIES) {
      const found = await studyFamily(
        sets.filter((set) => set.family === name),
        { model, family: [smallest], signal },
      );
      const told = found.map(({ concept, features }) => ({ concept, ...features[smallest.name]! }));
      const { concept, feature } = told.reduce((a, b) => (b.hard.value > a.hard.value ? b : a));
      const { successors } = splitFeature(related, 0, feature, { most: SHOWN });
      trees.push({ concept, tree: await nodeOf(model, family, { sae: 0, feature }, successors) });
      onProgress?.(trees.length / FAMILIES.length);
    }
    const fresh: Record<string, { count: number; alive: number }> = {};
    for (const step of related.steps) {
      const { name, catalog } = family[step.larger]!;
      const alive = new Set(await catalog.activeFeatures());
      // Where nobody stored how the two are related, silent features are among the new ones.
      const count = newFeatures(related, step).filter(({ feature }) => alive.has(feature)).length;
      fresh[name] = { count, alive: alive.size };
    }
    return { trees, newFeatures: fresh };
  },
  table({ trees, newFeatures }) {
    const rows = Object.entries(newFeatures).map(([name, { count, alive }]) => [
      name,
      String(count),
      `${((100 * count) / alive).toFixed(1)} %`,
    ]);
    const drawn = trees.map(({ concept, tree }) => `**${concept}**\n\n${draw(tree, "").join("\n")}`);
    const told =
      "Of three kinds of concepts the one that the smallest autoencoder tells best, and what became of its feature: how near each direction is to the one above it, and what the catalogue says of it.";
    return `${told}\n\n${drawn.join("\n\n")}\n\n${markdownTable(["", "features without an ancestor", "of those that fire"], rows)}`;
  },
};

async function nodeOf(
  model: LanguageModel,
  family: readonly StudiedMember[],
  { sae, feature, cosine }: { sae: number; feature: number; cosine?: number },
  branch: Branch | undefined,
): Promise<Node> {
  const { name, catalog } = family[sae]!;
  const { tokens, description } = await catalog.feature(feature);
  const words = tokens.slice(0, WORDS).map(({ token }) => model.tokenizer.tokenText(token));
  const successors: Node[] = [];
  for (const relative of branch?.relatives ?? []) successors.push(await nodeOf(model, family, relative, relative.branch));
  const told = { ...(cosine !== undefined && { cosine }), words, ...(description && { description: description.text }) };
  return { member: name, feature, ...told, successors, omitted: branch?.omitted ?? 0 };
}

function draw({ member, feature, cosine, words, description, successors, omitted }: Node, indent: string): string[] {
  const near = cosine === undefined ? "" : `, cosine ${cosine.toFixed(2)}`;
  const told = description ?? words.map((word) => `\`${JSON.stringify(word).slice(1, -1).replaceAll("`", "'")}\``).join(" ");
  const line = `${indent}- ${member} #${feature}${near}: ${told}`;
  const below = successors.flatMap((node) => draw(node, `${indent}  `));
  return [line, ...below, ...(omitted > 0 ? [`${indent}  - and ${omitted} more`] : [])];
}
