/** @file Builds ONNX graphs. Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); only what we use is here. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export type ElementType = "f32" | "i32" | "i64" | "f16" | "bf16";
const ELEMENT_TYPES: Record<ElementType, number> = { f32: 1, i32: 6, i64: 7, f16: 10, bf16: 16 };
const BYTES: Record<ElementType, number> = { f32: 4, i32: 4, i64: 8, f16: 2, bf16: 2 };

/** How the large weights of a graph are kept, and multiplied with. */
export const PRECISIONS = ["f32", "f16"] as const;
export type Precision = (typeof PRECISIONS)[number];

const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_STRING = 3;
const ATTRIBUTE_INTS = 7;
const EXTERNAL = 1;
const IR_VERSION = 10;
const OPSET = 21;

/** An attribute: integers and strings are written as they are, other numbers need `float`. */
export type Attribute = number | string | readonly number[] | { float: number };

/** A weight whose values are supplied when the session is made, as the external data called `place`. */
export interface WeightSlot {
  readonly name: string;
  readonly place: string;
  /** Numbers `start` … `start` + `length` of the weight. */
  readonly start: number;
  readonly length: number;
  readonly type: Precision;
}

/** Where a weight lies in a file, so that ONNX Runtime reads it itself. */
export interface WeightInFile {
  readonly file: string;
  readonly offset: number;
  readonly type: "f32" | "f16" | "bf16";
}

export interface Model {
  /** The serialised ModelProto. */
  readonly proto: Uint8Array;
  /** Weights that are to be supplied. */
  readonly weights: readonly WeightSlot[];
}

export class Graph {
  readonly #inFile: (name: string) => WeightInFile | undefined;
  readonly #precision: Precision;
  readonly #nodes: Uint8Array[] = [];
  readonly #initializers: Uint8Array[] = [];
  readonly #inputs: Uint8Array[] = [];
  readonly #outputs: Uint8Array[] = [];
  readonly #constants = new Map<string, string>();
  readonly #weights = new Map<string, string>();
  readonly #slots: WeightSlot[] = [];
  #names = 0;

  /** @param inFile where a weight lies; the values of the others are supplied when the session is made @param precision of `product` */
  constructor(inFile: (name: string) => WeightInFile | undefined = () => undefined, precision: Precision = "f32") {
    this.#inFile = inFile;
    this.#precision = precision;
  }

  /** Declares an input. A dimension is a number, or a name where it may vary. Returns `name`. */
  input(name: string, type: ElementType, shape: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  /** Declares that `value` is an output called `name`. */
  output(name: string, value: string, shape: readonly (number | string)[]): void {
    this.#node("Identity", [value], [name], {});
    this.#outputs.push(valueInfo(name, "f32", shape));
  }

  /** Adds a node with one result and returns the result's name. Operators in capitals after a dot ("ms.FusedMatMul") are ONNX Runtime's own. */
  op(type: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.split(type, inputs, 1, attributes)[0]!;
  }

  /** Adds a node with several results. */
  split(type: string, inputs: readonly string[], results: number, attributes: Record<string, Attribute> = {}): string[] {
    const names = Array.from({ length: results }, () => `v${this.#names++}`);
    this.#node(type, inputs, names, attributes);
    return names;
  }

  #node(type: string, inputs: readonly string[], outputs: readonly string[], attributes: Record<string, Attribute>): void {
    const w = new BinaryWriter();
    for (const name of inputs) w.tag(1, WireType.LengthDelimited).string(name);
    for (const name of outputs) w.tag(2, WireType.LengthDelimited).string(name);
    const isMicrosoft = type.startsWith("ms.");
    w.tag(4, WireType.LengthDelimited).string(isMicrosoft ? type.slice(3) : type);
    for (const [name, value] of Object.entries(attributes)) w.tag(5, WireType.LengthDelimited).bytes(attribute(name, value));
    if (isMicrosoft) w.tag(7, WireType.LengthDelimited).string("com.microsoft");
    this.#nodes.push(w.finish());
  }

  /** A small constant: a vector, or with `scalar` a single number. */
  constant(values: Float32Array | BigInt64Array, shape: readonly number[] = [values.length]): string {
    const type = values instanceof Float32Array ? "f32" : "i64";
    const key = `${type} [${shape}] ${values}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `c${this.#constants.size}`;
    this.#constants.set(key, name);
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#initializers.push(tensor(name, type, shape).tag(9, WireType.LengthDelimited).bytes(raw).finish());
    return name;
  }

  /** A vector of integers, as shapes and axes are given. */
  ints(...values: number[]): string {
    return this.constant(BigInt64Array.from(values, BigInt));
  }

  /** A graph over weights. They stay in their files if all can: ONNX Runtime takes those of a session from files or from memory, not from both. */
  static over(inFile: (name: string) => WeightInFile | undefined, precision: Precision, build: (g: Graph) => void): Model {
    const g = new Graph(inFile, precision);
    build(g);
    if (g.#slots.length === 0 || g.#slots.length === g.#weights.size) return g.finish();
    const decoded = new Graph(undefined, precision);
    build(decoded);
    return decoded.finish();
  }

  /** Whether ONNX Runtime reads a weight from its file. */
  isInFile(name: string): boolean {
    return this.#inFile(name) !== undefined;
  }

  /** x · W, or with `transposed` x · Wᵀ, in the graph's precision; the result is f32. @param weight as `weight` takes it */
  product(x: string, weight: readonly [name: string, shape: readonly number[], start?: number], { transposed = false } = {}): string {
    const stored = this.#stored(this.#precision, ...weight);
    const attributes = { transB: transposed ? 1 : 0 };
    if (this.#precision === "f32") return this.op("ms.FusedMatMul", [x, stored], attributes);
    return this.#cast(this.op("ms.FusedMatMul", [this.#cast(x, this.#precision), stored], attributes), "f32");
  }

  #cast(value: string, type: ElementType): string {
    return this.op("Cast", [value], { to: ELEMENT_TYPES[type] });
  }

  /** A weight, as f32; with `start` a part of one, from that number on, which must not lie in a file. Named twice, it is stored once. */
  weight(weight: string, shape: readonly number[], start?: number): string {
    return this.#stored("f32", weight, shape, start);
  }

  #stored(as: Precision, weight: string, shape: readonly number[], start?: number): string {
    const name = start === undefined ? weight : `${weight} from ${start}`;
    const known = this.#weights.get(name);
    if (known !== undefined) return known;
    const length = shape.reduce((n, d) => n * d, 1);
    const place = start === undefined ? this.#inFile(name) : undefined;
    if (place === undefined) this.#slots.push({ name: weight, start: start ?? 0, length, type: as, place: `weight ${this.#slots.length}` });
    const { file, offset, type } = place ?? { file: this.#slots.at(-1)!.place, offset: 0, type: as };
    const w = tensor(name, type, shape);
    for (const [key, value] of Object.entries({ location: file, offset, length: length * BYTES[type] })) {
      const entry = new BinaryWriter().tag(1, WireType.LengthDelimited).string(key).tag(2, WireType.LengthDelimited).string(String(value));
      w.tag(13, WireType.LengthDelimited).bytes(entry.finish());
    }
    this.#initializers.push(w.tag(14, WireType.Varint).int32(EXTERNAL).finish());
    const value = type === as ? name : this.#cast(name, as);
    this.#weights.set(name, value);
    return value;
  }

  finish(): Model {
    const graph = new BinaryWriter();
    for (const node of this.#nodes) graph.tag(1, WireType.LengthDelimited).bytes(node);
    graph.tag(2, WireType.LengthDelimited).string("monoscope");
    for (const initializer of this.#initializers) graph.tag(5, WireType.LengthDelimited).bytes(initializer);
    for (const info of this.#inputs) graph.tag(11, WireType.LengthDelimited).bytes(info);
    for (const info of this.#outputs) graph.tag(12, WireType.LengthDelimited).bytes(info);
    const model = new BinaryWriter().tag(1, WireType.Varint).int32(IR_VERSION);
    model.tag(7, WireType.LengthDelimited).bytes(graph.finish());
    for (const [domain, version] of [["", OPSET] as const, ["com.microsoft", 1] as const]) {
      const opset = new BinaryWriter().tag(1, WireType.LengthDelimited).string(domain).tag(2, WireType.Varint).int32(version);
      model.tag(8, WireType.LengthDelimited).bytes(opset.finish());
    }
    return { proto: model.finish(), weights: this.#slots };
  }
}

function attribute(name: string, value: Attribute): Uint8Array {
  const w = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
  const kind = (type: number): Uint8Array => w.tag(20, WireType.Varint).int32(type).finish();
  if (typeof value === "number") {
    w.tag(3, WireType.Varint).int64(value);
    return kind(ATTRIBUTE_INT);
  }
  if (typeof value === "string") {
    w.tag(4, WireType.LengthDelimited).string(value);
    return kind(ATTRIBUTE_STRING);
  }
  if ("float" in value) {
    w.tag(2, WireType.Bit32).float(value.float);
    return kind(ATTRIBUTE_FLOAT);
  }
  for (const n of value) w.tag(8, WireType.Varint).int64(n);
  return kind(ATTRIBUTE_INTS);
}

/** The beginning of a TensorProto: dimensions, type, name. */
function tensor(name: string, type: ElementType, shape: readonly number[]): BinaryWriter {
  const w = new BinaryWriter();
  for (const d of shape) w.tag(1, WireType.Varint).int64(d);
  return w.tag(2, WireType.Varint).int32(ELEMENT_TYPES[type]).tag(8, WireType.LengthDelimited).string(name);
}

function valueInfo(name: string, type: ElementType, shape: readonly (number | string)[]): Uint8Array {
  const dimensions = new BinaryWriter();
  for (const d of shape) {
    const w = new BinaryWriter();
    if (typeof d === "number") w.tag(1, WireType.Varint).int64(d);
    else w.tag(2, WireType.LengthDelimited).string(d);
    dimensions.tag(1, WireType.LengthDelimited).bytes(w.finish());
  }
  const tensorType = new BinaryWriter().tag(1, WireType.Varint).int32(ELEMENT_TYPES[type]);
  tensorType.tag(2, WireType.LengthDelimited).bytes(dimensions.finish());
  const typeProto = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(tensorType.finish());
  const w = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
  return w.tag(2, WireType.LengthDelimited).bytes(typeProto.finish()).finish();
}
