/**
 * @file Reads a dictionary of tensors that PyTorch saved (`torch.save` since 1.6): a zip file with a pickle and one entry for each storage. Nothing is run, and nothing but
 * tensors and plain values is accepted. Format: https://pytorch.org/docs/stable/notes/serialization.html
 */
import { FormatError, UnsupportedError } from "../errors.ts";
import { type Pickled, PickledTensor, readPickle } from "./pickle.ts";
import { DTYPES, elements, TensorFile, type TensorInfo } from "./tensor-file.ts";
import type { ZipFile } from "./zip.ts";

const MAX_PICKLE_BYTES = 1 << 24; // that of an autoencoder has about a thousand
const MAX_DEPTH = 4;
const MAX_NAMES = 10_000; // dictionaries that hold each other could go on without end

/** A value that is no tensor: OpenAI's files say what their activation is. */
export type PlainValue = string | number | boolean | null;

interface StoredTensor extends TensorInfo {
  readonly entry: string;
  /** Position of the first number in the entry. */
  readonly start: number;
}

/** A PyTorch file; tensors of inner dictionaries have names with dots. */
export class TorchFile extends TensorFile<StoredTensor> {
  readonly values: ReadonlyMap<string, PlainValue>;
  readonly #zip: ZipFile;

  constructor(zip: ZipFile, tensors: ReadonlyMap<string, StoredTensor>, values: ReadonlyMap<string, PlainValue>) {
    super(zip.path, tensors);
    this.values = values;
    this.#zip = zip;
  }

  protected override async fill({ entry, start }: StoredTensor, target: Uint8Array, offset: number): Promise<void> {
    await this.#zip.fill(entry, target, start + offset);
  }

  override async close(): Promise<void> {
    await this.#zip.close();
  }
}

/** The tensors of a PyTorch file; `zip` is closed with what is returned, or by who opened it when this throws. @throws FormatError, UnsupportedError */
export async function torchTensors(zip: ZipFile): Promise<TorchFile> {
  const pickle = [...zip.entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined) throw new FormatError(`${zip.path} holds no data.pkl; it is no PyTorch file`);
  const root = pickle.slice(0, -"data.pkl".length);
  const { bytes } = zip.entries.get(pickle)!;
  if (bytes > MAX_PICKLE_BYTES) throw new FormatError(`${zip.path}: data.pkl has ${bytes} bytes; the limit is ${MAX_PICKLE_BYTES}`);
  if (zip.entries.has(`${root}byteorder`)) {
    const order = Buffer.from(await zip.head(`${root}byteorder`, 16)).toString("latin1");
    if (order !== "little") throw new UnsupportedError(`${zip.path} was saved with byte order ${JSON.stringify(order)}; expected "little"`);
  }
  const state = readPickle(await zip.head(pickle, bytes), `${zip.path}: data.pkl`);
  if (!(state instanceof Map)) throw new FormatError(`${zip.path} holds no dictionary`);
  const tensors = new Map<string, StoredTensor>();
  const values = new Map<string, PlainValue>();
  let names = 0;
  collect(state, "", 0);
  return new TorchFile(zip, tensors, values);

  function collect(dictionary: ReadonlyMap<string, Pickled>, prefix: string, depth: number): void {
    if (depth > MAX_DEPTH) throw new FormatError(`${zip.path} holds dictionaries more than ${MAX_DEPTH} deep`);
    for (const [key, value] of dictionary) {
      if (++names > MAX_NAMES) throw new FormatError(`${zip.path} holds more than ${MAX_NAMES} values`);
      const name = prefix + key;
      if (value instanceof PickledTensor) tensors.set(name, stored(name, value));
      else if (value instanceof Map) collect(value, `${name}.`, depth + 1);
      else if (value === null || ["string", "number", "boolean"].includes(typeof value)) values.set(name, value as PlainValue);
      else throw new UnsupportedError(`${zip.path}: "${name}" is neither a tensor nor a plain value`);
    }
  }

  function stored(name: string, { dtype, key, numbers, offset, shape, strides }: PickledTensor): StoredTensor {
    const entry = `${root}data/${key}`;
    const found = zip.entries.get(entry);
    if (found === undefined) throw new FormatError(`${zip.path}: the numbers of ${name} are missing (${entry})`);
    const width = DTYPES[dtype];
    if (found.bytes !== numbers * width)
      throw new FormatError(
        `${zip.path}: ${entry} has ${found.bytes} bytes, expected ${numbers * width} for ${numbers} numbers of ${dtype}`,
      );
    const count = elements(shape);
    if (!Number.isSafeInteger(count) || offset + count > numbers)
      throw new FormatError(`${zip.path}: ${name} [${shape.join(", ")}] reaches beyond its ${numbers} numbers`);
    const byColumn = !inOrder(shape, strides);
    if (byColumn && !(shape.length === 2 && inOrder(shape.toReversed(), strides.toReversed())))
      throw new UnsupportedError(
        `${zip.path}: ${name} [${shape.join(", ")}] has strides ${strides.join(", ")}; expected its numbers without holes`,
      );
    return { dtype, shape, byColumn, entry, start: offset * width };
  }
}

/** Whether strides are those of numbers that lie one after another, the last index running fastest. */
function inOrder(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}
