/** @file What collecting features costs on top of harvesting: the same contexts are harvested alone, and harvested and collected from, taking turns. */
import { harvest } from "../src/activations/harvest.ts";
import { liveSource } from "../src/activations/source.ts";
import { inputStatistics } from "../src/activations/stream.ts";
import { tokenizeCorpus } from "../src/corpus/tokenize.ts";
import { collectFeatures } from "../src/features/collect.ts";
import { DEFAULT_MODEL } from "../src/model/find.ts";
import { LanguageModel } from "../src/model/language-model.ts";
import { normal, seededRandom } from "../src/random.ts";
import { architectureOf, initialise } from "../src/sae/architectures/architecture.ts";
import { SparseAutoencoder } from "../src/sae/autoencoder.ts";
import { createEngine } from "../src/sae/kernels/index.ts";
import { recipe } from "../src/sae/recipe.ts";
import type { Matrix } from "../src/tensor/matrix.ts";
import { median } from "./machine.ts";

export interface CollectPlan {
  /** Folders of a family of the default model; without them, TopK autoencoders of `sizes` features as training begins with them. */
  readonly family: readonly string[];
  readonly sizes: readonly number[];
  /** Tokens of a turn, and of what is held out beside it. */
  readonly tokens: number;
  readonly rounds: number;
  readonly signal: AbortSignal;
  readonly onRound?: (round: number) => void;
}

export interface CollectTimes {
  readonly features: readonly number[];
  readonly tokens: number;
  /** Tokens per second, the median of the rounds. */
  readonly harvesting: number;
  readonly collecting: number;
  /** Speed of collecting as a share of harvesting's, the median of the rounds. */
  readonly ratio: number;
}

const CONTEXT = 256;
const K = 32;

export async function collectTimes({ family, sizes, tokens, rounds, signal, onRound }: CollectPlan): Promise<CollectTimes> {
  const model = await LanguageModel.open(DEFAULT_MODEL);
  const { train: contexts } = await tokenizeCorpus(["sample"], model.tokenizer, {
    startToken: model.tokenizer.startOfContext,
    contextSize: CONTEXT,
    maxTokens: tokens,
  });
  const source = await liveSource(model, contexts);
  const saes = family.length
    ? await Promise.all(family.map((path) => SparseAutoencoder.open(path)))
    : untrained(sizes, (await harvest(model, contexts, { end: 16, signal })).activations);
  const turns = [
    async () => {
      for (let block = 0; block < source.blocks; block++) await source.block(block, signal);
    },
    async () => void (await collectFeatures(saes, source, contexts, { signal })),
  ] as const;
  const seconds: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    onRound?.(round);
    // Each goes first in every other round.
    for (const turn of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const began = performance.now();
      await turns[turn]();
      seconds[turn].push((performance.now() - began) / 1000);
    }
  }
  await model.close();
  const [alone, together] = seconds;
  const perTurn = contexts.size * CONTEXT;
  return {
    features: saes.map(({ dSae }) => dSae),
    tokens: perTurn,
    harvesting: Math.round(perTurn / median(alone)),
    collecting: Math.round(perTurn / median(together)),
    ratio: Math.round(median(alone.map((s, i) => s / together[i]!)) * 1000) / 1000,
  };
}

/** @param activations [n, dIn], some of those that they will read */
function untrained(sizes: readonly number[], activations: Matrix): SparseAutoencoder[] {
  const statistics = { ...inputStatistics(activations), scale: 1 };
  const architecture = architectureOf(recipe({ architecture: "topk", dSae: sizes[0]!, k: K }));
  return sizes.map((dSae, i) => {
    const engine = createEngine({ dIn: activations.cols, dSae, ...architecture.encoder, threads: 2 });
    const random = seededRandom(0, i);
    initialise(engine, architecture, statistics, () => normal(random));
    return new SparseAutoencoder(engine, {});
  });
}
