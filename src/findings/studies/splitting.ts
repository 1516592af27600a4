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
  readonly successors: readonly Node[];
  /** Successors that are not shown. */
  readonly omitted: number;
}

export interface Splitting {
  readonly trees: readonly { readonly concept: string; readonly tree: Node }[];
  /** Of each larger autoencoder: features that fire and have no ancestor in the one before. */
  readonly newFeatures: Readonly<Record<string, { readonly count: number; readonly alive: number }>>;
}

// One of each kind: a place, a language, a manner of speaking.
const CONCEPTS = ["golden-gate-bridge", "french", "refusal"];
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
    const [smallest] = family;
    for (const concept of CONCEPTS) {
      const set = sets.find(({ name }) => name === concept)!;
      const [found] = await studyFamily([set], { model, family: [smallest!], signal });
      const { feature } = found!.features[smallest!.name]!;
      const { successors } = splitFeature(related, 0, feature, { most: SHOWN });
      trees.push({ concept, tree: await nodeOf(model, family, { sae: 0, feature }, successors) });
      onProgress?.(trees.length / CONCEPTS.length);
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
    return `${drawn.join("\n\n")}\n\n${markdownTable(["", "features without an ancestor", "of those that fire"], rows)}`;
  },
};

async function nodeOf(
  model: LanguageModel,
  family: readonly StudiedMember[],
  { sae, feature, cosine }: { sae: number; feature: number; cosine?: number },
  branch: Branch | undefined,
): Promise<Node> {
  const { name, catalog } = family[sae]!;
  const { tokens } = await catalog.feature(feature);
  const words = tokens.slice(0, WORDS).map(({ token }) => model.tokenizer.tokenText(token));
  const successors: Node[] = [];
  for (const relative of branch?.relatives ?? []) successors.push(await nodeOf(model, family, relative, relative.branch));
  return { member: name, feature, ...(cosine !== undefined && { cosine }), words, successors, omitted: branch?.omitted ?? 0 };
}

function draw({ member, feature, cosine, words, successors, omitted }: Node, indent: string): string[] {
  const near = cosine === undefined ? "" : `, cosine ${cosine.toFixed(2)}`;
  const line = `${indent}- ${member} #${feature}${near}: ${words.map((word) => `\`${JSON.stringify(word).slice(1, -1).replaceAll("`", "'")}\``).join(" ")}`;
  const below = successors.flatMap((node) => draw(node, `${indent}  `));
  return [line, ...below, ...(omitted > 0 ? [`${indent}  - and ${omitted} more`] : [])];
}
