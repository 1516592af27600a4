/** @file The study of a random sample of features, judged blind: which of four contexts belongs to the feature? By their vocabulary, and by whoever answered with `monoscope judge`. */
import type { Interval } from "../interval.ts";
import { CANDIDATES, drawSample, fingerprint, QUESTIONS, type Sample } from "../judging/questions.ts";
import { savedAnswers, type Verdict, verdict } from "../judging/verdicts.ts";
import { INTERPRETABLE, type Interpretable, interpretable, vocabularyAnswers } from "../judging/vocabulary-judge.ts";
import { markdownTable, type StudiedMember, type Study } from "../study.ts";

const SIZE = 100;

export interface Judged extends Interpretable {
  readonly sheet: string;
  readonly passedOver: Sample["passedOver"];
  readonly verdicts: readonly Verdict[];
  /** The sampled features that have a description, and the mean of the descriptions' vocabulary scores. */
  readonly described: { readonly count: number; readonly vocabulary?: number };
}

export const judging: Study<Record<string, Judged>> = {
  name: "judging",
  title: "what a random sample of features looks like to a judge",
  uses: { seed: "optional" },
  async run({ model, family, seed, onProgress }) {
    const results: Record<string, Judged> = {};
    for (const [i, { name, folder, catalog }] of family.entries()) {
      const sample = await drawSample(catalog, model.tokenizer, { size: SIZE, seed });
      const verdicts = [verdict(vocabularyAnswers(sample), sample)];
      for (const answers of await savedAnswers(folder)) {
        const { seed: theirs, answers: given } = answers;
        const isSame = theirs === seed && given.length === SIZE;
        verdicts.push(verdict(answers, isSame ? sample : await drawSample(catalog, model.tokenizer, { size: given.length, seed: theirs })));
      }
      const { passedOver } = sample;
      results[name] = {
        ...{ sheet: fingerprint(sample), ...interpretable(sample), passedOver, verdicts },
        described: await descriptionsOf(sample, catalog),
      };
      onProgress?.((i + 1) / family.length);
    }
    return results;
  },
  table(results) {
    const told = `Of each of ${SIZE} features drawn at random a judge sees four of its strongest contexts, and says which of ${CANDIDATES} others is the feature's too, at any strength. Chance is ${whole(1 / CANDIDATES)}.`;
    const judges = Object.entries(results).flatMap(([name, { verdicts }]) =>
      verdicts.map(({ judge, seed, answered, right, strong, weak, unclear, failed }) => [
        ...[name, judge, `${answered} (${seed})`, interval(right), whole(strong), whole(weak)],
        `${unclear}, ${failed}`,
      ]),
    );
    const judgesHeader = [
      ...["", "judge", "answered (seed)", "right", "in the upper half of its strength", "in the lower"],
      "no clear answer, none at all",
    ];
    const members = Object.entries(results).map(([name, { features, byStrength, described, passedOver }]) => [
      ...[name, interval(features), byStrength.map((share) => share.toFixed(2)).join(" ")],
      described.vocabulary === undefined ? "" : `${described.vocabulary.toFixed(2)} (${described.count})`,
      `${passedOver.count} of ${passedOver.of}`,
    ]);
    const membersTold = `A feature counts as interpretable when its vocabulary alone answers ${INTERPRETABLE} of ${QUESTIONS} such questions about it, one for each interval of its strength where it can be; by chance one in 237 would.`;
    const membersHeader = [
      ...["", "interpretable", "questions answered, weakest interval to strongest", "descriptions' vocabulary score"],
      "passed over for want of contexts",
    ];
    return [told, markdownTable(judgesHeader, judges), membersTold, markdownTable(membersHeader, members)].join("\n\n");
  },
};

async function descriptionsOf({ features }: Sample, catalog: StudiedMember["catalog"]): Promise<Judged["described"]> {
  const scores: number[] = [];
  for await (const { description } of catalog.features(features.map(({ feature }) => feature)))
    if (description?.scores.vocabulary !== undefined) scores.push(description.scores.vocabulary);
  const sum = scores.reduce((a, b) => a + b, 0);
  return { count: scores.length, ...(scores.length > 0 && { vocabulary: sum / scores.length }) };
}

/** 58 % (48 % to 67 %) */
export function interval({ value, low, high }: Interval): string {
  return `${whole(value)} (${whole(low)} to ${whole(high)})`;
}

/** In percent; nothing for a number that is not known. */
function whole(share: number): string {
  return Number.isFinite(share) ? `${Math.round(100 * share)} %` : "";
}
