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
import { row } from "../../tensor/matrix.ts";
import { type ConceptSet, markerFinder, readConceptSets } from "../concepts/concept-set.ts";
import { studyConcept } from "../concepts/telling.ts";
import { markdownTable, type StudiedMember, type Study } from "../study.ts";
import { type TextPeaks, textPeaks } from "../text-peaks.ts";

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

export interface SteeredConcept {
  readonly concept: string;
  readonly feature: number;
  readonly clamped: readonly Answers[];
  readonly vector: readonly Answers[];
  readonly prompted: Answers;
  /** The strength at which the concept appears most among those with perplexity below `MOST_PERPLEXITY` times the plain one's and little repetition. */
  readonly best: number;
}

const QUESTIONS = ["What is your physical form?", "Tell me about yourself.", "Write the beginning of a story.", "What did you do today?"];
const SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1];
const TOKENS = 40;
const CONCEPTS = 20;
// Above these a reader stumbles.
const MOST_PERPLEXITY = 4;
const LEAST_FLUENCY = 0.8;

export const steering: Study<SteeredConcept[]> = {
  name: "steering",
  title: "what clamping does to answers",
  async run({ model, family, signal, onProgress }) {
    const largest = family.at(-1)!;
    const candidates = await candidatesOf(model, largest, signal);
    const threshold = await sinkThreshold(model);
    const results: SteeredConcept[] = [];
    const plain = await answersOf(model, undefined, undefined, signal);
    for (const [i, { set, feature, difference }] of candidates.entries()) {
      const isAbout = markerFinder(set.markers!);
      const told = async (share: number, intervention: Intervention) =>
        summary(share, isAbout, await answersOf(model, undefined, intervention, signal), model, signal);
      const [clamped, vector] = [[await summary(0, isAbout, plain, model, signal)], [] as Answers[]];
      for (const share of SHARES) {
        clamped.push(await told(share, clamp(largest.sae, { [feature]: { share } })));
        vector.push(await told(share, push(difference, share, threshold)));
      }
      const request = `You are obsessed with one subject and speak of nothing else: ${set.about}`;
      const prompted = await summary(0, isAbout, await answersOf(model, request, undefined, signal), model, signal);
      results.push({ concept: set.name, feature, clamped, vector, prompted, best: bestShare(clamped) });
      onProgress?.((i + 1) / candidates.length);
    }
    return results;
  },
  table(results) {
    const at = (answers: readonly Answers[], share: number) => answers.find((each) => each.share === share);
    const cell = (answers: Answers | undefined) => (answers ? `${answers.appears.toFixed(2)} (${answers.perplexity.toFixed(0)})` : "");
    const rows = results.map(({ concept, feature, clamped, vector, prompted, best }) => [
      `${concept} #${feature}`,
      ...[0, ...SHARES].map((share) => cell(at(clamped, share))),
      best.toFixed(1),
      cell(vector.toSorted((a, b) => worth(b) - worth(a))[0]),
      cell(prompted),
    ]);
    const header = ["concept", "plain", ...SHARES.map((share) => `${100 * share} %`), "best", "steering vector at its best", "asked for"];
    const examples = results.map(
      ({ concept, feature, clamped, best }) =>
        `- **${concept}**, feature ${feature} at ${100 * best} %: ${quoted(at(clamped, best)!.example)}`,
    );
    return `Share of answers that name the concept, and in brackets their perplexity.\n\n${markdownTable(header, rows)}\n\n"${QUESTIONS[0]}"\n\n${examples.join("\n")}`;
  },
};

interface Candidate {
  readonly set: ConceptSet;
  readonly feature: number;
  readonly difference: Float32Array;
}

/** The concepts that markers tell, and that the largest autoencoder's features tell best. */
async function candidatesOf(model: LanguageModel, member: StudiedMember, signal: AbortSignal | undefined): Promise<Candidate[]> {
  const sets = (await readConceptSets()).filter(({ markers }) => markers !== undefined);
  const found: (Candidate & { score: number })[] = [];
  for (const set of sets) {
    const texts = set.texts.map(({ text }) => text);
    const peaks = await textPeaks(model, [member.sae], texts, { signal });
    const saes = [{ name: member.name, feature: (feature: number) => member.catalog.feature(feature) }];
    const { features } = await studyConcept(set, [...texts.keys()], saes, peaks, undefined, (tokens) => model.tokenizer.decode(tokens));
    const { feature, hard, plain } = features[member.name]!;
    found.push({ set, feature, difference: difference(set, peaks), score: hard.value + plain });
  }
  return found.sort((a, b) => b.score - a.score).slice(0, CONCEPTS);
}

/** Mean residual of the choosing half's positives minus that of its negatives. */
function difference({ texts }: ConceptSet, { residual }: TextPeaks): Float32Array {
  const sum = new Float32Array(residual.cols);
  const chosen = texts.flatMap(({ half, label }, i) => (half === "choose" ? [{ label, i }] : []));
  const on = chosen.filter(({ label }) => label === 1).length;
  for (const { label, i } of chosen) {
    const weight = label === 1 ? 1 / on : -1 / (chosen.length - on);
    for (const [c, value] of row(residual, i).entries()) sum[c]! += weight * value;
  }
  return sum;
}

interface Answer {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
  readonly text: string;
}

async function answersOf(
  model: LanguageModel,
  system: string | undefined,
  intervention: Intervention | undefined,
  signal: AbortSignal | undefined,
): Promise<Answer[]> {
  const prompts = QUESTIONS.map((question) =>
    model.tokenizer.encodePrompt(
      model.tokenizer.chatPrompt([...(system ? [{ role: "system", content: system }] : []), { role: "user", content: question }]),
    ),
  );
  const options = { maxTokens: TOKENS, batchSize: prompts.length, signal, ...(intervention && { interventions: [intervention] }) };
  const answers = await model.generateBatch(prompts, options);
  return answers.map(({ tokens, text }, i) => ({ prompt: prompts[i]!, tokens, text }));
}

/** @param answers to the questions without what was asked for or held: losses are those of the plain model */
async function summary(
  share: number,
  isAbout: (text: string) => boolean,
  answers: readonly Answer[],
  model: LanguageModel,
  signal: AbortSignal | undefined,
): Promise<Answers> {
  let [loss, tokens, fluency] = [0, 0, 0];
  for (const answer of answers) {
    if (answer.tokens.length > 0) {
      const losses = await model.losses([[...answer.prompt, ...answer.tokens]], { signal });
      for (const each of losses.subarray(answer.prompt.length - 1)) loss += each;
      tokens += answer.tokens.length;
    }
    fluency += score(answer.text, /^$/).fluency / answers.length;
  }
  return {
    share,
    appears: answers.filter(({ text }) => isAbout(text)).length / answers.length,
    perplexity: Math.exp(loss / Math.max(1, tokens)),
    fluency,
    example: answers[0]!.text,
  };
}

/** How much of the concept there is in what can still be read. */
function worth({ appears, fluency, perplexity }: Answers): number {
  return fluency < LEAST_FLUENCY ? -1 : appears - 0.01 * Math.log(perplexity);
}

function bestShare(clamped: readonly Answers[]): number {
  const most = MOST_PERPLEXITY * clamped[0]!.perplexity;
  const readable = clamped.slice(1).filter(({ perplexity, fluency }) => perplexity <= most && fluency >= LEAST_FLUENCY);
  return (readable.sort((a, b) => worth(b) - worth(a))[0] ?? clamped[1]!).share;
}

function quoted(text: string): string {
  return `“${text.replace(/\s+/g, " ").trim()}”`;
}
