/**
 * @file The MLP neuron that goes with a feature most, by Pearson's correlation over tokens: the check that features are not just neurons. Bricken et al. 2023 and
 * Templeton et al. 2024, "Features vs. neurons". Compared are the neurons of the layer that writes the residual stream at the cut (layer 14 for
 * blocks.15.hook_resid_pre): the last ones that an autoencoder there can have read, and the only ones whose output no later layer has changed.
 */
import { ordinaryRows, sinkThreshold } from "../activations/sinks.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, CorpusError, ShapeError } from "../errors.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { throwIfCancelled } from "../model/session.ts";
import { permutation, seededRandom } from "../random.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { type Matrix, takeRows } from "../tensor/matrix.ts";
import type { SparseFeatures } from "../tensor/sparse-features.ts";
import type { NeuronMatch } from "./feature.ts";

const CONTEXTS_AT_ONCE = 4;
// Sums of products take 4 bytes for each feature and neuron: 65,536 features × 1,536 neurons fit. Of more features, each such part is a pass over the text.
const MAX_SUMS = 1 << 27;

export interface NeuronMatchOptions {
  /** How many contexts are drawn from the corpus; all, if not given. A correlation over 50,000 tokens is known to 0.005. */
  readonly contexts?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after every few contexts. */
  readonly onProgress?: (progress: { done: number; contexts: number }) => void;
}

/**
 * The neuron with the largest |r| for one feature after the other; undefined for a feature that does not vary in this text. Sinks do not count.
 * @throws ShapeError when autoencoder and model differ in width, CorpusError for a corpus without contexts, ArgumentError, NonFiniteError, CancelledError
 */
export async function* neuronMatches(
  model: LanguageModel,
  sae: SparseAutoencoder,
  corpus: ContextSet,
  { contexts = corpus.size, seed = 0, signal, onProgress }: NeuronMatchOptions = {},
): AsyncGenerator<NeuronMatch | undefined, void, undefined> {
  if (sae.dIn !== model.config.dIn)
    throw new ShapeError(`the autoencoder reads residuals of width ${sae.dIn}; the model's are ${model.config.dIn} wide`);
  if (corpus.size === 0) throw new CorpusError("the corpus is shorter than one context; there is nothing to read");
  if (!Number.isInteger(contexts) || contexts < 1) throw new ArgumentError(`contexts ${contexts} is not an integer of at least 1`);
  const drawn = permutation(corpus.size, seededRandom(seed)).subarray(0, contexts);
  const threshold = await sinkThreshold(model);
  const { dMlp } = model.config;
  const perPass = Math.min(sae.dSae, Math.max(1, Math.floor(MAX_SUMS / dMlp)));
  const passes = Math.ceil(sae.dSae / perPass);
  for (let pass = 0; pass < passes; pass++) {
    const correlations = new Correlations(pass * perPass, Math.min(perPass, sae.dSae - pass * perPass), dMlp);
    for (let first = 0; first < drawn.length; first += CONTEXTS_AT_ONCE) {
      throwIfCancelled(signal);
      const batch = Array.from(drawn.subarray(first, first + CONTEXTS_AT_ONCE), (i) => corpus.tokens(i));
      const { residual, neurons } = await model.neurons(batch, { signal });
      const rows = ordinaryRows(residual, threshold);
      if (rows.length > 0) correlations.add(await sae.encode(takeRows(residual, rows)), takeRows(neurons, rows));
      onProgress?.({ done: pass * drawn.length + first + batch.length, contexts: passes * drawn.length });
    }
    yield* correlations.matches();
  }
}

/** Sums from which the correlation of each of `count` features, from `first` on, with each of `neurons` neurons follows. Only active features cost anything. */
export class Correlations {
  readonly #first: number;
  readonly #count: number;
  readonly #neurons: number;
  #tokens = 0;
  readonly #featureSums: Float64Array;
  readonly #featureSquares: Float64Array;
  readonly #neuronSums: Float64Array;
  readonly #neuronSquares: Float64Array;
  /** Σ feature · neuron, [count, neurons]. */
  readonly #products: Float32Array;

  constructor(first: number, count: number, neurons: number) {
    [this.#first, this.#count, this.#neurons] = [first, count, neurons];
    [this.#featureSums, this.#featureSquares] = [new Float64Array(count), new Float64Array(count)];
    [this.#neuronSums, this.#neuronSquares] = [new Float64Array(neurons), new Float64Array(neurons)];
    this.#products = new Float32Array(count * neurons);
  }

  /** @param features [n, dSae] @param neurons [n, neurons], at the same tokens */
  add({ indptr, indices, values, rows }: SparseFeatures, { data }: Matrix): void {
    const [width, sums, squares] = [this.#neurons, this.#neuronSums, this.#neuronSquares];
    this.#tokens += rows;
    for (let t = 0; t < rows; t++) {
      const at = t * width;
      for (let j = 0; j < width; j++) {
        const neuron = data[at + j]!;
        sums[j]! += neuron;
        squares[j]! += neuron * neuron;
      }
      for (let e = indptr[t]!; e < indptr[t + 1]!; e++) {
        const feature = indices[e]! - this.#first;
        if (feature < 0 || feature >= this.#count) continue;
        const value = values[e]!;
        this.#featureSums[feature]! += value;
        this.#featureSquares[feature]! += value * value;
        addScaled(this.#products, feature * width, value, data, at, width);
      }
    }
  }

  *matches(): Generator<NeuronMatch | undefined, void, undefined> {
    const n = this.#tokens;
    const deviations = this.#neuronSquares.map((squares, j) => spread(n, this.#neuronSums[j]!, squares));
    for (let feature = 0; feature < this.#count; feature++) {
      const sum = this.#featureSums[feature]!;
      const deviation = spread(n, sum, this.#featureSquares[feature]!);
      let best: NeuronMatch | undefined;
      if (deviation > 0) {
        for (let neuron = 0; neuron < this.#neurons; neuron++) {
          if (deviations[neuron] === 0) continue;
          const covariance = n * this.#products[feature * this.#neurons + neuron]! - sum * this.#neuronSums[neuron]!;
          const correlation = covariance / (deviation * deviations[neuron]!);
          if (best === undefined || Math.abs(correlation) > Math.abs(best.correlation)) best = { neuron, correlation };
        }
      }
      yield best;
    }
  }
}

/** n times the standard deviation; 0 where only rounding is left of it. */
function spread(n: number, sum: number, squares: number): number {
  const variance = n * squares - sum * sum;
  return variance > 1e-12 * n * squares ? Math.sqrt(variance) : 0;
}

/** y[to …] += scale · x[from …], `length` numbers. */
function addScaled(y: Float32Array, to: number, scale: number, x: Float32Array, from: number, length: number): void {
  for (let j = 0; j < length; j++) y[to + j]! += scale * x[from + j]!;
}
