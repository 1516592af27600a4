/** @file The end of a model: final norm and unembedding, next-token losses, divergences. Losses are computed a few rows at a time, because a row of logits is long. */
import type { InferenceSession } from "onnxruntime-node";
import { type Matrix, matrix, rowRange } from "../tensor/matrix.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { Family } from "./families/family.ts";
import { Graph } from "./graph/onnx.ts";
import { createSession, floats, type Processor, throwIfCancelled } from "./session.ts";

const ROWS_AT_ONCE = 128; // 25 MB of logits for 49,152 tokens: enough rows to keep the product busy

/** How well next tokens are predicted, for each token that has a next one. */
export interface Losses {
  /** −ln p(next token), [tokens] */
  readonly crossEntropy: Float32Array;
  /** Kullback-Leibler divergence in nats from the first version's prediction to this one's, Σ p₁ ln(p₁ / p), [tokens]; 0 for the first itself */
  readonly kl: Float32Array;
}

export class Head {
  readonly #vocabularySize: number;
  readonly #unembed: InferenceSession;
  readonly #soften: InferenceSession;
  readonly #normalize: InferenceSession;
  readonly #diverge: InferenceSession;

  private constructor(vocabularySize: number, [unembed, soften, normalize, diverge]: InferenceSession[]) {
    this.#vocabularySize = vocabularySize;
    [this.#unembed, this.#soften, this.#normalize, this.#diverge] = [unembed!, soften!, normalize!, diverge!];
  }

  static async create(family: Family, checkpoint: Checkpoint, on: Processor): Promise<Head> {
    const { dIn, vocabularySize } = family.config;
    const unembed = Graph.over(
      (name) => checkpoint.mapped(name),
      on.precision,
      (g) => g.output("logits", family.head(g, g.input("x", "f32", ["N", dIn])), ["N", vocabularySize]),
    );

    const soften = new Graph();
    const cooled = soften.op("Div", [soften.input("logits", "f32", ["N", "V"]), soften.input("temperatures", "f32", ["N", 1])]);
    soften.output("p", soften.op("Softmax", [cooled], { axis: -1 }), ["N", "V"]);

    const normalize = new Graph();
    normalize.output("logP", normalize.op("LogSoftmax", [normalize.input("logits", "f32", ["N", "V"])], { axis: -1 }), ["N", "V"]);

    const diverge = new Graph();
    const [logP, logQ] = [diverge.input("logP", "f32", ["N", "V"]), diverge.input("logQ", "f32", ["N", "V"])];
    const terms = diverge.op("Mul", [diverge.op("Exp", [logP]), diverge.op("Sub", [logP, logQ])]);
    diverge.output("kl", diverge.op("ReduceSum", [terms, diverge.ints(1)], { keepdims: 0 }), ["N"]);

    const graphs = [unembed, ...[soften, normalize, diverge].map((g) => g.finish())];
    return new Head(vocabularySize, await Promise.all(graphs.map((graph) => createSession(graph, checkpoint, on))));
  }

  /** @param x residual stream after the last layer, [N, dIn] @returns [N, vocabulary] */
  async logits(x: Matrix, out: Matrix = matrix(x.rows, this.#vocabularySize)): Promise<Matrix> {
    await this.#unembed.run({ x: floats(x.data, x.rows, x.cols) }, { logits: floats(out.data, out.rows, out.cols) });
    return out;
  }

  /**
   * softmax(logits / temperature) of each row: the platform's vector units take exponentials ten times as fast as a loop here.
   * @param temperatures of each row, > 0, [N]
   */
  async probabilities(logits: Matrix, temperatures: Float32Array, out: Matrix = matrix(logits.rows, logits.cols)): Promise<Matrix> {
    await this.#soften.run({ logits: tensor(logits), temperatures: floats(temperatures, logits.rows, 1) }, { p: tensor(out) });
    return out;
  }

  /** @param versions residual streams after the last layer, each [N, dIn] @param targets the token that follows each row, [N] @throws CancelledError */
  async losses(versions: readonly Matrix[], targets: Int32Array, signal?: AbortSignal): Promise<Losses[]> {
    const losses = versions.map(() => ({ crossEntropy: new Float32Array(targets.length), kl: new Float32Array(targets.length) }));
    const V = this.#vocabularySize;
    const buffers = Array.from({ length: 3 }, () => new Float32Array(Math.min(ROWS_AT_ONCE, targets.length) * V));
    for (let start = 0; start < targets.length; start += ROWS_AT_ONCE) {
      const end = Math.min(start + ROWS_AT_ONCE, targets.length);
      const [logits, logP, logQ] = buffers.map((b) => matrix(end - start, V, b.subarray(0, (end - start) * V)));
      for (const [v, { crossEntropy, kl }] of losses.entries()) {
        throwIfCancelled(signal);
        await this.logits(rowRange(versions[v]!, start, end), logits);
        const log = v === 0 ? logP! : logQ!;
        await this.#normalize.run({ logits: tensor(logits!) }, { logP: tensor(log) });
        for (let i = start; i < end; i++) crossEntropy[i] = -log.data[(i - start) * V + targets[i]!]!;
        if (v > 0)
          await this.#diverge.run({ logP: tensor(logP!), logQ: tensor(log) }, { kl: floats(kl.subarray(start, end), end - start) });
      }
    }
    return losses;
  }

  async release(): Promise<void> {
    for (const session of [this.#unembed, this.#soften, this.#normalize, this.#diverge]) await session.release();
  }
}

function tensor({ data, rows, cols }: Matrix) {
  return floats(data, rows, cols);
}
