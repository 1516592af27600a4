/** @file What a feature's weights tell of it: the norms of what it reads and writes, how far the two agree, and its neighbours. */
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { dot, row, rowNorms } from "../tensor/matrix.ts";
import type { Geometry } from "./feature.ts";
import { type Nearest, neighboursOf } from "./neighbours.ts";

const NEIGHBOURS = 10;
const FEATURES_PER_BATCH = 4096;

/**
 * Norms, alignment and neighbours of every feature, in order. Norms are those of the weights in use, which read and write the model's own residual: where inputs were scaled
 * in training, decoder rows carry the scale. An alignment near 1 says that the feature reads what it writes; a lower one, that its encoder also tells it from its neighbours.
 * @param nearest of `sae` in itself (`nearestFeatures`)
 */
export function* geometry(sae: Pick<SparseAutoencoder, "dSae" | "directions" | "readerWeights">, nearest: Nearest): Iterable<Geometry> {
  for (let first = 0; first < sae.dSae; first += FEATURES_PER_BATCH) {
    const count = Math.min(FEATURES_PER_BATCH, sae.dSae - first);
    const [decoder, encoder] = [sae.directions(first, count), sae.readerWeights(first, count)];
    const [decoderNorms, encoderNorms] = [rowNorms(decoder), rowNorms(encoder)];
    for (let i = 0; i < count; i++) {
      const [decoderNorm, encoderNorm] = [decoderNorms[i]!, encoderNorms[i]!];
      const norms = decoderNorm * encoderNorm;
      yield {
        decoderNorm,
        encoderNorm,
        alignment: norms > 0 ? dot(row(decoder, i), row(encoder, i)) / norms : 0,
        neighbours: neighboursOf(nearest, first + i, NEIGHBOURS),
      };
    }
  }
}
