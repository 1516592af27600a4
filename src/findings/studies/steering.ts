/**
 * @file The study of steering: how often a concept appears, and how fluent the text stays, against where its feature is held. Templeton et al. 2024, "Influence on behavior". Beside it stand a
 * steering vector (the mean residual of texts about the concept minus that of others, added at the same share of the norm) and a request in plain words.
 */
import { sinkThreshold } from "../../activations/sinks.ts";
import { clamp } from "../../interventions/clamp.ts";
import { push } from "../../interventions/push.ts";
import { score } from "../../interventions/steering.ts";
import type { Intervention } from "../../model/intervention.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { COLOURS } from "../../svg.ts";
import { chart, decades, type Panel, shares } from "../chart.ts";
import { markerFinder, readConceptSets } from "../concepts/concept-set.ts";
import { type SteeringTarget, targetsOf } from "../concepts/steering-target.ts";
import { markdownTable, type StudiedMember, type Study, type Subject } from "../study.ts";

/** What became of the answers at one strength. */
export interface Answers {
  /** Share of the residual's norm; 0 for answers that nothing changed. */
  readonly share: number;
  /** Share of the answers that have a marker of the concept. */
  readonly appears: number;
  /** exp of the mean loss of the answers' tokens under the model as it is. */
  readonly perplexity: number;
  /** Share of word triples that are no repetitions. */
  readonly fluency: number;
  /** The first answer. */
  readonly example: string;
}

/** What is averaged over concepts. */
export type Steered = Pick<Answers, "appears" | "perplexity">;

/** What became of answers at every strength. */
export interface Curve {
  /** Weakest first. */
  readonly at: readonly Answers[];
  /** The share at which answers to other questions have most of the concept and can still be read: perplexity below `MOST_PERPLEXITY` times the plain one's, little repetition. */
  readonly best: number;
}

export interface SteeredConcept {
  readonly concept: string;
  readonly feature: number;
  readonly plain: Answers;
  readonly clamped: Curve;
  readonly vector: Curve;
  readonly prompted: Answers;
}

const TOLD = ["What is your physical form?", "Tell me about yourself.", "Write the beginning of a story.", "What did you do today?"];
// Answers to these decide which feature is held, and which strength is best.
const CHOOSING = ["Who are you?", "What is on your mind?", "Write a short poem.", "What should I do this weekend?"];
const SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1];
// Strengths at which candidates are tried.
const TRIED = [0.2, 0.4, 0.7];
const TOKENS = 40;
const CONCEPTS = 20;
const BATCH = 64;
// Share of the time that reading the concepts' texts takes, about.
const READING = 0.15;
// Above these a reader stumbles.
const MOST_PERPLEXITY = 4;
const LEAST_FLUENCY = 0.8;

export const steering: Study<SteeredConcept[]> = {
  name: "steering",
  title: "what clamping does to answers",
  uses: {},
  async run({ family, ...options }) {
    const [results] = await steer([family.at(-1)!], options);
    return results!;
  },
  table(results) {
    const percent = (share: number) => `${Math.round(100 * share)} %`;
    const rows = results.map(({ concept, feature, plain, clamped, vector, prompted }) => [
      `${concept} #${feature}`,
      cell(plain),
      ...clamped.at.map(cell),
      percent(clamped.best),
      `${cell(atBest(vector))} at ${percent(vector.best)}`,
      cell(prompted),
    ]);
    const header = ["concept", "plain", ...SHARES.map(percent), "best", "steering vector at its best", "asked for"];
    const mean = (of: (each: SteeredConcept) => Answers) => cell(meanOf(results.map(of)));
    rows.push([
      "**mean**",
      mean(({ plain }) => plain),
      ...SHARES.map((_, s) => mean(({ clamped }) => clamped.at[s]!)),
      mean(({ clamped }) => atBest(clamped)),
      mean(({ vector }) => atBest(vector)),
      mean(({ prompted }) => prompted),
    ]);
    const examples = results.map(
      ({ concept, feature, clamped }) =>
        `- **${concept}**, feature ${feature} at ${percent(clamped.best)}: ${quoted(atBest(clamped).example)}`,
    );
    return `Share of answers that name the concept, and in brackets their perplexity (of means, the geometric one). Which feature of a concept is held, of several that tell it or point its way, and which strength is best is chosen on other questions than those whose answers are told.\n\n${markdownTable(header, rows)}\n\n"${TOLD[0]}"\n\n${examples.join("\n")}`;
  },
  figure(results) {
    const kinds = [
      { name: "clamped feature", colour: COLOURS[0], of: ({ clamped }: SteeredConcept) => clamped },
      { name: "steering vector", colour: COLOURS[1], of: ({ vector }: SteeredConcept) => vector },
    ];
    const measures = [
      { title: "answers that name it", y: ({ appears }: Steered) => appears },
      { title: "perplexity", y: ({ perplexity }: Steered) => Math.log10(perplexity) },
    ];
    const all = results.flatMap(({ plain, clamped, vector }) => [plain, ...clamped.at, ...vector.at]);
    const perplexity = decades("", all.map(measures[1]!.y));
    const panels = measures.map(({ title, y }, m) =>
      kinds.map(({ name, colour, of }): Panel => {
        const curves = results.map((each) => [each.plain, ...of(each).at]);
        const mean = [0, ...SHARES].map((share, s) => [share, y(meanOf(curves.map((curve) => curve[s]!)))] as const);
        return {
          title: `${name}: ${title}`,
          x: shares("strength, as a share of the residual's norm"),
          y: m === 0 ? shares("") : perplexity,
          series: [
            ...curves.map((curve, i) => ({
              ...{ as: "thin" as const, colour, name: results[i]!.concept },
              points: curve.map((answers) => [answers.share, y(answers)] as const),
            })),
            { as: "curve", colour, name: "mean", points: mean },
          ],
        };
      }),
    );
    const told = `Mean over ${results.length} concepts, and each of them; at 0 %, answers that nothing changed.`;
    return chart({ title: "Steering", told, legend: [] }, panels);
  },
};

/** @returns the answers at the strength that was chosen for the curve */
export function atBest({ at, best }: Curve): Answers {
  return at.find(({ share }) => share === best)!;
}

/** How often the concept appears, and in brackets the perplexity. */
export function cell({ appears, perplexity }: Steered): string {
  return `${appears.toFixed(2)} (${perplexity.toFixed(0)})`;
}

/** The arithmetic mean of how often concepts appear, and the geometric one of perplexities. */
export function meanOf(answers: readonly Steered[]): Steered {
  const mean = (of: (each: Steered) => number) => answers.reduce((sum, each) => sum + of(each), 0) / answers.length;
  return { appears: mean(({ appears }) => appears), perplexity: Math.exp(mean(({ perplexity }) => Math.log(perplexity))) };
}

/**
 * Steers with features of each autoencoder towards the same concepts: those that have markers and that features tell best, from every family of concepts in turn.
 * @returns for each autoencoder its concepts, the one told best first @throws as `targetsOf`
 */
export async function steer(
  members: readonly StudiedMember[],
  { signal, onProgress }: Pick<Subject, "signal" | "onProgress">,
): Promise<SteeredConcept[][]> {
  const sets = (await readConceptSets()).filter(({ markers }) => markers !== undefined);
  const targets: SteeringTarget[][] = [];
  for (const [m, member] of members.entries())
    targets.push(await targetsOf(member, sets, { signal, onProgress: (share) => onProgress?.((READING * (m + share)) / members.length) }));
  const told = (set: number) => targets.reduce((sum, of) => sum + of[set]!.told, 0);
  const chosen = inTurn(
    [...sets.keys()].sort((a, b) => told(b) - told(a)),
    (set) => sets[set]!.family,
  ).slice(0, CONCEPTS);
  const results: SteeredConcept[][] = [];
  for (const [m, member] of members.entries()) {
    const threshold = await sinkThreshold(member.model);
    const steered: SteeredConcept[] = [];
    for (const set of chosen) {
      const taken = new Set(steered.map(({ feature }) => feature));
      steered.push(await steerConcept(member, targets[m]![set]!, taken, threshold, signal));
      onProgress?.(READING + ((1 - READING) * (m + steered.length / chosen.length)) / members.length);
    }
    results.push(steered);
  }
  return results;
}

/** The first of every group, then the second of every group, and so on. */
function inTurn<T>(items: readonly T[], groupOf: (item: T) => string): T[] {
  const counts = new Map<string, number>();
  const turns = items.map((item) => {
    const turn = counts.get(groupOf(item)) ?? 0;
    counts.set(groupOf(item), turn + 1);
    return { item, turn };
  });
  return turns.sort((a, b) => a.turn - b.turn).map(({ item }) => item);
}

async function steerConcept(
  member: StudiedMember,
  { set, difference, features }: SteeringTarget,
  taken: ReadonlySet<number>,
  threshold: number,
  signal: AbortSignal | undefined,
): Promise<SteeredConcept> {
  const { model, sae } = member;
  const isAbout = markerFinder(set.markers!);
  const untaken = features.filter((feature) => !taken.has(feature));
  const feature = await bestSteering(member, untaken.length > 0 ? untaken : features, isAbout, signal);
  const request = `You are obsessed with one subject and speak of nothing else: ${set.about}`;
  const conditions = [
    { interventions: [] },
    { interventions: [], request },
    ...SHARES.map((share) => ({ interventions: [clamp(sae, { [feature]: { share } })] })),
    ...SHARES.map((share) => ({ interventions: [push(difference, share, threshold)] })),
  ];
  const summaries = async (questions: readonly string[]) =>
    (await answersOf(model, conditions, questions, signal)).map((answers, c) =>
      summary(c < 2 ? 0 : SHARES[(c - 2) % SHARES.length]!, isAbout, answers),
    );
  const [told, choosing] = [await summaries(TOLD), await summaries(CHOOSING)];
  const curve = (first: number): Curve => ({
    at: told.slice(first, first + SHARES.length),
    best: bestShare(choosing.slice(first, first + SHARES.length), choosing[0]!),
  });
  const [plain, prompted] = told as [Answers, Answers];
  return { concept: set.name, feature, plain, clamped: curve(2), vector: curve(2 + SHARES.length), prompted };
}

/** The candidate with which answers to the questions that decide name the concept most, at the strength that is best for it; the first where none does. */
async function bestSteering(
  { model, sae }: StudiedMember,
  features: readonly number[],
  isAbout: (text: string) => boolean,
  signal: AbortSignal | undefined,
): Promise<number> {
  const trials = features.flatMap((feature) => TRIED.map((share) => ({ feature, share })));
  const clamps = trials.map(({ feature, share }) => ({ interventions: [clamp(sae, { [feature]: { share } })] }));
  const [plain, ...answers] = await answersOf(model, [{ interventions: [] }, ...clamps], CHOOSING, signal);
  const isFit = isReadable(summary(0, isAbout, plain!));
  let best = { feature: features[0]!, worth: Number.NEGATIVE_INFINITY };
  for (const [t, { feature, share }] of trials.entries()) {
    const held = summary(share, isAbout, answers[t]!);
    if (isFit(held) && worth(held) > best.worth) best = { feature, worth: worth(held) };
  }
  return best.feature;
}

interface Answer {
  readonly text: string;
  readonly tokens: number;
  /** Sum of the tokens' losses after the question alone, under the model as it is. */
  readonly loss: number;
}

/** @returns the answers under each condition to all questions */
async function answersOf(
  model: LanguageModel,
  conditions: readonly { readonly interventions: readonly Intervention[]; readonly request?: string }[],
  questions: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Answer[][]> {
  const prompt = (question: string, request?: string) =>
    model.tokenizer.encodePrompt(
      model.tokenizer.chatPrompt([...(request ? [{ role: "system", content: request }] : []), { role: "user", content: question }]),
    );
  const completions = await model.generateBatch(
    conditions.flatMap(({ request }) => questions.map((question) => prompt(question, request))),
    {
      maxTokens: TOKENS,
      batchSize: BATCH,
      interventionsOf: (i) => conditions[Math.floor(i / questions.length)]!.interventions,
      signal,
    },
  );
  // After the question alone, so that all conditions are held to the same.
  const asked = questions.map((question) => prompt(question));
  const losses = await model.losses(
    completions.map(({ tokens }, i) => [...asked[i % questions.length]!, ...tokens]),
    { signal },
  );
  let start = 0;
  const answers = completions.map(({ text, tokens }, i) => {
    const before = asked[i % questions.length]!.length - 1;
    const own = losses.subarray(start + before, start + before + tokens.length);
    start += before + tokens.length;
    return { text, tokens: tokens.length, loss: own.reduce((sum, each) => sum + each, 0) };
  });
  return conditions.map((_, c) => answers.slice(c * questions.length, (c + 1) * questions.length));
}

function summary(share: number, isAbout: (text: string) => boolean, answers: readonly Answer[]): Answers {
  const sum = (of: (answer: Answer) => number) => answers.reduce((total, answer) => total + of(answer), 0);
  return {
    share,
    appears: sum(({ text }) => Number(isAbout(text))) / answers.length,
    perplexity: Math.exp(
      sum(({ loss }) => loss) /
        Math.max(
          1,
          sum(({ tokens }) => tokens),
        ),
    ),
    fluency: sum(({ text }) => score(text, /^$/).fluency) / answers.length,
    example: answers[0]!.text,
  };
}

/** The share at which there is most of the concept in what can still be read; the smallest where nothing can. @param held weakest first */
export function bestShare(held: readonly Answers[], plain: Answers): number {
  const readable = held.filter(isReadable(plain));
  return (readable.sort((a, b) => worth(b) - worth(a))[0] ?? held[0]!).share;
}

function isReadable(plain: Answers): (answers: Answers) => boolean {
  return ({ perplexity, fluency }) => perplexity <= MOST_PERPLEXITY * plain.perplexity && fluency >= LEAST_FLUENCY;
}

/** The concept counts, and of answers that have as much of it, fluency. */
function worth({ appears, perplexity }: Answers): number {
  return appears - 0.01 * Math.log(perplexity);
}

function quoted(text: string): string {
  return `“${text.replace(/\s+/g, " ").trim()}”`;
}
