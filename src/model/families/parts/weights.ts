/** @file Weights of a model as the functions that use them. Their names and shapes are checked when the model is opened. */
import { FormatError, ShapeError, UnsupportedError } from "../../../errors.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import type { Graph } from "../../graph/onnx.ts";

/** Adds nodes that compute something of `x`. */
export type Part = (g: Graph, x: string) => string;

/** Bytes of f32 that are supplied to ONNX Runtime as one weight, which takes less than 2 GiB; a larger matrix becomes several. */
const MOST_SUPPLIED = 1 << 30;

export class Weights {
  readonly #checkpoint: Checkpoint;
  readonly #used = new Set<string>();

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  has(name: string): boolean {
    return this.#checkpoint.shapes.has(name);
  }

  /** The shape of a weight whose sizes no setting tells. @throws FormatError */
  shape(name: string): readonly number[] {
    const shape = this.#checkpoint.shapes.get(name);
    if (shape === undefined)
      throw new FormatError(
        `${this.#checkpoint.path} has no tensor ${this.#checkpoint.spell(name)}. The model is incomplete; fetch it again.`,
      );
    return shape;
  }

  /** Notes that a weight is used. @throws FormatError when there is none of that name, ShapeError when it has another shape, UnsupportedError when it has a type that is not read */
  expect(name: string, shape: readonly number[]): string {
    const found = this.shape(name);
    if (found.join() !== shape.join())
      throw new ShapeError(
        `expected ${this.#checkpoint.spell(name)} [${shape.join(", ")}], found [${found.join(", ")}] in ${this.#checkpoint.path}`,
      );
    this.#checkpoint.assertReadable(name);
    this.#used.add(name);
    return name;
  }

  /** x · Wᵀ (+ b), for `name`.weight stored [out, in], or with `transposed` [in, out]. */
  linear(name: string, into: number, out: number, { bias = false, transposed = false } = {}): Part {
    const shape = transposed ? [into, out] : [out, into];
    const weight = this.expect(`${name}.weight`, shape);
    const rows = Math.max(1, Math.floor(MOST_SUPPLIED / (4 * into)));
    const offset = bias ? this.expect(`${name}.bias`, [out]) : undefined;
    return (g, x) => {
      const part = (start: number) => g.product(x, [weight, [Math.min(rows, out - start), into], start * into], { transposed: true });
      const product =
        transposed || out <= rows || g.isInFile(weight)
          ? g.product(x, [weight, shape], { transposed: !transposed })
          : g.op(
              "Concat",
              Array.from({ length: Math.ceil(out / rows) }, (_, i) => part(i * rows)),
              { axis: -1 },
            );
      return offset === undefined ? product : g.op("Add", [product, g.weight(offset, [out])]);
    };
  }

  /** x / √(mean x² + ε) · w over the last dimension; with `plusOne` times 1 + w, as Gemma stores its norms. */
  rmsNorm(name: string, width: number, epsilon: number, { plusOne = false } = {}): Part {
    const weight = this.expect(`${name}.weight`, [width]);
    return (g, x) => {
      const stored = g.weight(weight, [width]);
      const scale = plusOne ? g.op("Add", [stored, g.constant(Float32Array.of(1))]) : stored;
      return g.op("SimplifiedLayerNormalization", [x, scale], { axis: -1, epsilon: { float: epsilon } });
    };
  }

  /** (x − mean) / √(variance + ε) · w + b over the last dimension. */
  layerNorm(name: string, width: number, epsilon: number): Part {
    const [weight, bias] = [this.expect(`${name}.weight`, [width]), this.expect(`${name}.bias`, [width])];
    return (g, x) =>
      g.op("LayerNormalization", [x, g.weight(weight, [width]), g.weight(bias, [width])], { axis: -1, epsilon: { float: epsilon } });
  }

  /** @throws UnsupportedError when there is a weight that nothing uses: something of the model would be left out. @param passedOver names that mean nothing */
  refuseOthers(passedOver: RegExp): void {
    const { path, modelType, shapes } = this.#checkpoint;
    for (const name of shapes.keys()) {
      if (!this.#used.has(name) && !passedOver.test(name))
        throw new UnsupportedError(
          `${path} has a tensor ${this.#checkpoint.spell(name)}, which the ${modelType} family does not use: this variant is not supported.`,
        );
    }
  }
}
