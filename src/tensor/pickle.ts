/**
 * @file Reads the pickle of a PyTorch file without running anything: the operations and names that a dictionary of tensors needs are known here, all others are refused.
 * Operations: https://github.com/python/cpython/blob/main/Lib/pickletools.py
 */
import { FormatError, UnsupportedError } from "../errors.ts";
import type { Dtype } from "./tensor-file.ts";

const MAX_VALUES = 1_000_000; // a dictionary of ten tensors makes a few hundred

const STORAGES: Readonly<Record<string, Dtype>> = {
  DoubleStorage: "F64",
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

/** A tensor that a pickle describes; its numbers lie in another entry. */
export class PickledTensor {
  readonly dtype: Dtype;
  /** The name of the entry with the numbers, and how many it has. */
  readonly key: string;
  readonly numbers: number;
  /** The first number, and the distance of neighbours in each dimension. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.dtype = storage.dtype;
    this.key = storage.key;
    this.numbers = storage.numbers;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

export type Pickled = string | number | boolean | null | PickledTensor | readonly Pickled[] | ReadonlyMap<string, Pickled>;

class Storage {
  readonly dtype: Dtype;
  readonly key: string;
  readonly numbers: number;
  constructor(dtype: Dtype, key: string, numbers: number) {
    this.dtype = dtype;
    this.key = key;
    this.numbers = numbers;
  }
}

/** A name of a Python module that may stand in a pickle. */
class Known {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

class Mark {}
const MARK = new Mark();

type Value = string | number | boolean | null | PickledTensor | Storage | Known | Mark | Value[] | Map<string, Value>;

/** @param where names the file in errors @throws FormatError, UnsupportedError for anything that a dictionary of tensors does not need */
export function readPickle(bytes: Uint8Array, where: string): Pickled {
  return new Unpickler(bytes, where).run();
}

class Unpickler {
  readonly #bytes: Buffer;
  readonly #where: string;
  readonly #stack: Value[] = [];
  readonly #memo = new Map<number, Value>();
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#where = where;
  }

  run(): Pickled {
    for (;;) {
      const code = this.#take(1)[0]!;
      if (code === 0x2e) break; // STOP
      const value = this.#operate(code);
      if (value !== undefined) this.#stack.push(value);
      if (++this.#values > MAX_VALUES) throw this.#bad(`more than ${MAX_VALUES} operations`);
    }
    const result = this.#pop();
    if (this.#stack.length > 0 || !isPickled(result)) throw this.#bad("it ends without a value");
    return result;
  }

  /** @returns what goes on the stack, if anything */
  #operate(code: number): Value | undefined {
    switch (code) {
      case 0x80: {
        const [version] = this.#take(1); // PROTO
        if (version! < 2 || version! > 5) throw new UnsupportedError(`${this.#where} is a pickle of protocol ${version}; expected 2 to 5`);
        return undefined;
      }
      case 0x95: // FRAME
        this.#take(8);
        return undefined;
      case 0x28: // MARK
        return MARK;
      case 0x7d: // EMPTY_DICT
        return new Map();
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        return [];
      case 0x4e: // NONE
        return null;
      case 0x88: // NEWTRUE
        return true;
      case 0x89: // NEWFALSE
        return false;
      case 0x4b: // BININT1
        return this.#take(1)[0]!;
      case 0x4d: // BININT2
        return this.#take(2).readUInt16LE();
      case 0x4a: // BININT
        return this.#take(4).readInt32LE();
      case 0x8a: // LONG1
        return this.#long(this.#take(this.#take(1)[0]!));
      case 0x47: // BINFLOAT
        return this.#take(8).readDoubleBE();
      case 0x58: // BINUNICODE
        return this.#take(this.#take(4).readUInt32LE()).toString("utf8");
      case 0x8c: // SHORT_BINUNICODE
        return this.#take(this.#take(1)[0]!).toString("utf8");
      case 0x71: // BINPUT
        this.#remember(this.#take(1)[0]!);
        return undefined;
      case 0x72: // LONG_BINPUT
        this.#remember(this.#take(4).readUInt32LE());
        return undefined;
      case 0x94: // MEMOIZE
        this.#remember(this.#memo.size);
        return undefined;
      case 0x68: // BINGET
        return this.#recall(this.#take(1)[0]!);
      case 0x6a: // LONG_BINGET
        return this.#recall(this.#take(4).readUInt32LE());
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: {
        const items: Value[] = [];
        for (let i = 0x84; i < code; i++) items.unshift(this.#pop());
        return items;
      }
      case 0x74: // TUPLE
        return this.#marked();
      case 0x61: {
        const item = this.#pop(); // APPEND
        this.#list().push(item);
        return undefined;
      }
      case 0x65: {
        const items = this.#marked(); // APPENDS
        const list = this.#list();
        for (const item of items) list.push(item);
        return undefined;
      }
      case 0x73: {
        const value = this.#pop(); // SETITEM
        const key = this.#pop();
        this.#set([key, value]);
        return undefined;
      }
      case 0x75: // SETITEMS
        this.#set(this.#marked());
        return undefined;
      case 0x63: // GLOBAL
        return this.#known(this.#line(), this.#line());
      case 0x93: {
        const name = this.#pop(); // STACK_GLOBAL
        const module = this.#pop();
        return this.#known(String(module), String(name));
      }
      case 0x51: // BINPERSID
        return this.#storage(this.#pop());
      case 0x52: {
        const parameters = this.#pop(); // REDUCE
        return this.#call(this.#pop(), parameters);
      }
      case 0x62: {
        this.#pop(); // BUILD: attributes of the dictionary itself, such as the versions of its modules
        if (!(this.#stack.at(-1) instanceof Map)) throw this.#bad("it sets attributes of something other than a dictionary");
        return undefined;
      }
      default:
        throw new UnsupportedError(
          `${this.#where} holds the operation 0x${code.toString(16)}, which a dictionary of tensors does not need; nothing of it was run`,
        );
    }
  }

  #known(module: string, name: string): Known {
    const full = `${module}.${name}`;
    const storage = module === "torch" && Object.hasOwn(STORAGES, name);
    if (!storage && !["torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "collections.OrderedDict"].includes(full))
      throw new UnsupportedError(
        `${this.#where} names ${full.slice(0, 100)}, which a dictionary of tensors does not need; nothing of it was run`,
      );
    return new Known(full);
  }

  /** ("storage", torch.FloatStorage, "0", "cpu", 1536) */
  #storage(id: Value): Storage {
    if (!Array.isArray(id)) throw this.#bad("a storage without its description");
    const [kind, type, key, , numbers] = id;
    if (kind !== "storage" || !(type instanceof Known) || typeof key !== "string" || !isCount(numbers))
      throw this.#bad("a storage whose description is malformed");
    const dtype = STORAGES[type.name.replace(/^torch\./, "")];
    if (dtype === undefined) throw this.#bad(`a storage of type ${type.name}`);
    return new Storage(dtype, key, numbers);
  }

  #call(callee: Value, parameters: Value): Value {
    if (!(callee instanceof Known) || !Array.isArray(parameters)) throw this.#bad("it calls something other than a known name");
    switch (callee.name) {
      case "collections.OrderedDict": {
        if (parameters.length > 0) throw this.#bad("a dictionary that is made from something else");
        return new Map();
      }
      case "torch._utils._rebuild_parameter":
        if (!(parameters[0] instanceof PickledTensor)) throw this.#bad("a parameter without a tensor");
        return parameters[0];
      case "torch._utils._rebuild_tensor_v2": {
        const [storage, offset, shape, strides] = parameters;
        if (!(storage instanceof Storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides) || shape.length !== strides.length)
          throw this.#bad("a tensor whose description is malformed");
        return new PickledTensor(storage, offset, shape, strides);
      }
      default:
        throw this.#bad(`it calls ${callee.name}`);
    }
  }

  #set(items: readonly Value[]): void {
    const target = this.#stack.at(-1);
    if (!(target instanceof Map) || items.length % 2 === 1) throw this.#bad("entries of something other than a dictionary");
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== "string") throw this.#bad("a dictionary whose keys are no names");
      target.set(key, items[i + 1]!);
    }
  }

  #list(): Value[] {
    const list = this.#stack.at(-1);
    if (!Array.isArray(list)) throw this.#bad("items of something other than a list");
    return list;
  }

  #marked(): Value[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.#bad("items without a beginning");
    const items = this.#stack.splice(mark);
    return items.slice(1);
  }

  #remember(place: number): void {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw this.#bad("it remembers nothing");
    this.#memo.set(place, value);
  }

  #recall(place: number): Value {
    const value = this.#memo.get(place);
    if (value === undefined) throw this.#bad(`it recalls value ${place}, which it has not remembered`);
    return value;
  }

  #long(bytes: Buffer): number {
    let value = 0n;
    for (const [i, byte] of bytes.entries()) value |= BigInt(byte) << BigInt(8 * i);
    return Number(BigInt.asIntN(8 * bytes.length, value));
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.#bad("a name without an end");
    const text = this.#take(end - this.#at).toString("utf8");
    this.#take(1);
    return text;
  }

  #pop(): Value {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw this.#bad("a value is missing");
    return value;
  }

  #take(bytes: number): Buffer {
    if (this.#at + bytes > this.#bytes.length) throw this.#bad("it is truncated");
    this.#at += bytes;
    return this.#bytes.subarray(this.#at - bytes, this.#at);
  }

  #bad(why: string): FormatError {
    return new FormatError(`${this.#where} is no pickle of a dictionary of tensors, at byte ${this.#at}: ${why}`);
  }
}

function isPickled(value: Value): value is Exclude<Pickled & Value, never> {
  return !(value instanceof Storage || value instanceof Known || value instanceof Mark);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: Value | undefined): value is number[] {
  return Array.isArray(value) && value.length <= 64 && value.every(isCount);
}
