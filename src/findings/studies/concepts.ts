/** @file The study of concepts: for each labelled set, the best feature of each size, and what it is to be compared with. */
import { type ConceptSet, readConceptSets } from "../concepts/concept-set.ts";
import { type ConceptResult, studyConcept, type Telling } from "../concepts/telling.ts";
import { markdownTable, type Study, type Subject } from "../study.ts";
import { textPeaks } from "../text-peaks.ts";

export const concepts: Study<ConceptResult[]> = {
  name: "concepts",
  title: "which concepts have a feature",
  uses: { random: "optional" },
  async run(subject) {
    const sets = await readConceptSets();
    const families = [...new Set(sets.map(({ family }) => family))];
    const results: ConceptResult[] = [];
    for (const [i, family] of families.entries()) {
      const own = sets.filter((set) => set.family === family);
      results.push(...(await studyFamily(own, { ...subject, onProgress: (share) => subject.onProgress?.((i + share) / families.length) })));
    }
    return results;
  },
  table(results) {
    const members = Object.keys(results[0]!.features);
    const largest = members.at(-1)!;
    return markdownTable(
      ["concept", ...members, "sensitivity", "specificity, strongest and weakest interval", "neuron", "probe", "random model"],
      results.map(({ concept, features, neuron, probe, random }) => {
        const best = features[largest]!;
        return [
          concept,
          ...members.map((name) => `${told(features[name]!)} #${features[name]!.feature}`),
          best.sensitivity.toFixed(2),
          best.specificity ? `${share(best.specificity.at(-1))}, ${share(best.specificity[0])}` : "",
          `${told(neuron)} #${neuron.neuron}`,
          told(probe),
          random ? told(random) : "",
        ];
      }),
    );
  },
};

/** Studies concepts that have texts in common: each text is read once. */
export async function studyFamily(
  sets: readonly ConceptSet[],
  { model, family, random, signal, onProgress }: Omit<Subject, "seed">,
): Promise<ConceptResult[]> {
  const texts = [...new Set(sets.flatMap((set) => set.texts.map(({ text }) => text)))];
  const places = new Map(texts.map((text, i) => [text, i]));
  const parts = random ? 2 : 1;
  const progress = (part: number) => (done: number) => onProgress?.((part + done / texts.length) / parts);
  const peaks = await textPeaks(
    model,
    family.map(({ sae }) => sae),
    texts,
    { signal, onProgress: progress(0) },
  );
  const ofRandom = random && (await textPeaks(random.model, [random.sae], texts, { signal, onProgress: progress(1) }));
  const saes = family.map(({ name, catalog }) => ({ name, feature: (feature: number) => catalog.feature(feature) }));
  const results: ConceptResult[] = [];
  for (const set of sets) {
    const index = set.texts.map(({ text }) => places.get(text)!);
    results.push(await studyConcept(set, index, saes, peaks, ofRandom, (tokens) => model.tokenizer.decode(tokens)));
  }
  return results;
}

/** .93 [.88, .97] */
function told({ hard: { value, low, high } }: Telling): string {
  return `${short(value)} [${short(low)}, ${short(high)}]`;
}

function short(x: number): string {
  return x.toFixed(2).replace(/^0/, "");
}

function share(x: number | undefined): string {
  return x === undefined || Number.isNaN(x) ? "–" : short(x);
}
