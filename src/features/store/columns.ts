/**
 * @file Arrow columns from values and back. Values are gathered in typed arrays and become Arrow's buffers as they are, and are read from these: Arrow's own builders and
 * vectors take microseconds a number, and a catalogue has hundreds of millions.
 */
import { createRequire } from "node:module";
import type { Data, DataType, RecordBatch, Schema, Struct, Table } from "apache-arrow";

// LanceDB loads Arrow as CommonJS. Tables of the other copy, which `import` would load, are taken apart and put together again, and lose their nested columns on the way.
const arrow: typeof import("apache-arrow") = createRequire(import.meta.url)("apache-arrow");

/** A kind of column: how its values are gathered, and read back from Arrow's buffers. */
export interface Column<T> {
  readonly type: DataType;
  readonly nullable: boolean;
  gather(): Gatherer<T>;
  /** What reads the value of a row. */
  reader(data: Data): (row: number) => T;
  /** What reads the values of several rows: much faster, where it is there. */
  rangeReader?(data: Data): (start: number, end: number) => T[];
}

/** Values of one column on their way into Arrow. */
export interface Gatherer<T> {
  readonly length: number;
  push(value: T): void;
  /** Pushes several: much faster, where it is there. */
  pushAll?(values: readonly T[]): void;
  /** All values so far, as Arrow data; the gatherer is used up. */
  finish(): Data;
}

export type Columns = Readonly<Record<string, Column<unknown>>>;

/** The value of a column, and the row of several. */
export type ValueOf<C> = C extends Column<infer T> ? T : never;
export type Row<C> = { readonly [name in keyof C]: ValueOf<C[name]> };

/** Arrow's constructor of data without nulls: its own types ask for a different one for each type. */
const makeData = (parts: { type: DataType; length: number; data?: Numbers; valueOffsets?: Int32Array; child?: Data; children?: Data[] }) =>
  arrow.makeData({ ...parts, nullCount: 0 } as Parameters<typeof arrow.makeData>[0]) as Data;

type Numbers = Float64Array | Float32Array | Uint32Array | Int32Array | Uint16Array | Int16Array | Uint8Array | Int8Array;

/** A typed array that grows. */
class Growing<A extends Numbers> {
  length = 0;
  #values: A;
  readonly #create: new (
    length: number,
  ) => A;

  constructor(create: new (length: number) => A) {
    this.#create = create;
    this.#values = new create(1024);
  }

  /** Makes room for `count` more. @returns what to write them to, from `length` on */
  room(count: number): A {
    if (this.length + count > this.#values.length) {
      const grown = new this.#create(Math.max(2 * this.#values.length, this.length + count));
      grown.set(this.#values);
      this.#values = grown;
    }
    return this.#values;
  }

  push(value: number): void {
    this.room(1)[this.length++] = value;
  }

  pushAll(values: readonly number[]): void {
    this.room(values.length).set(values, this.length);
    this.length += values.length;
  }

  finish(): A {
    return this.#values.slice(0, this.length) as A;
  }
}

function numbers<A extends Numbers>(type: DataType, create: new (length: number) => A, shown?: (value: number) => number): Column<number> {
  return {
    type,
    nullable: false,
    gather() {
      const values = new Growing(create);
      return {
        get length() {
          return values.length;
        },
        push: (value) => values.push(value),
        pushAll: (several) => values.pushAll(several),
        finish: () => makeData({ type, length: values.length, data: values.finish() }),
      };
    },
    reader:
      ({ values }) =>
      (row) =>
        shown ? shown(values[row]) : values[row],
    rangeReader:
      ({ values }) =>
      (start, end) => {
        const several = new Array<number>(end - start); // Array.from goes through an iterator, which takes several times as long
        for (let i = start; i < end; i++) several[i - start] = shown ? shown(values[i]) : values[i];
        return several;
      },
  };
}

// Those that double precision has exactly.
const POWERS_OF_TEN = Array.from({ length: 23 }, (_, digits) => 10 ** digits);

export const float64 = numbers(new arrow.Float64(), Float64Array);
/** What is read back has six significant digits, which is what single precision keeps of any decimal number: 0.1 comes back as 0.1. */
export const float32 = numbers(new arrow.Float32(), Float32Array, sixDigits);
export const uint32 = numbers(new arrow.Uint32(), Uint32Array);
export const uint16 = numbers(new arrow.Uint16(), Uint16Array);
export const uint8 = numbers(new arrow.Uint8(), Uint8Array);
export const int16 = numbers(new arrow.Int16(), Int16Array);
export const int8 = numbers(new arrow.Int8(), Int8Array);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const utf8: Column<string> = {
  type: new arrow.Utf8(),
  nullable: false,
  gather() {
    const offsets = new Growing(Int32Array);
    const bytes = new Growing(Uint8Array);
    offsets.push(0);
    return {
      get length() {
        return offsets.length - 1;
      },
      push(text) {
        // A UTF-16 unit takes at most three bytes.
        const { written } = encoder.encodeInto(text, bytes.room(3 * text.length).subarray(bytes.length));
        bytes.length += written;
        offsets.push(bytes.length);
      },
      finish: () => makeData({ type: utf8.type, length: offsets.length - 1, valueOffsets: offsets.finish(), data: bytes.finish() }),
    };
  },
  reader:
    ({ valueOffsets, values }) =>
    (row) =>
      decoder.decode(values.subarray(valueOffsets[row], valueOffsets[row + 1])),
};

/** Any number of values. */
export function list<T>(item: Column<T>): Column<readonly T[]> {
  const type = new arrow.List(field("item", item));
  return {
    type,
    nullable: false,
    gather() {
      const offsets = new Growing(Int32Array);
      const values = item.gather();
      offsets.push(0);
      return {
        get length() {
          return offsets.length - 1;
        },
        push(items) {
          if (values.pushAll) values.pushAll(items);
          else for (const value of items) values.push(value);
          offsets.push(values.length);
        },
        finish: () => makeData({ type, length: offsets.length - 1, valueOffsets: offsets.finish(), child: values.finish() }),
      };
    },
    reader({ valueOffsets, children: [items] }) {
      const readRange = item.rangeReader?.(items!);
      if (readRange) return (row) => readRange(valueOffsets[row]!, valueOffsets[row + 1]!);
      const read = item.reader(items!);
      return (row) => {
        const start = valueOffsets[row]!;
        return Array.from({ length: valueOffsets[row + 1]! - start }, (_, i) => read(start + i));
      };
    },
  };
}

/** Vectors of `size` numbers, single precision. */
export function vector(size: number): Column<Float32Array> {
  const type = new arrow.FixedSizeList(size, field("item", float32));
  return {
    type,
    nullable: false,
    gather() {
      const values = new Growing(Float32Array);
      return {
        get length() {
          return values.length / size;
        },
        push(x) {
          values.room(size).set(x, values.length);
          values.length += size;
        },
        finish() {
          const child = makeData({ type: float32.type, length: values.length, data: values.finish() });
          return makeData({ type, length: child.length / size, child });
        },
      };
    },
    reader:
      ({ children: [items] }) =>
      (row) =>
        items!.values.slice(row * size, (row + 1) * size),
  };
}

/** Named values. */
export function struct<C extends Columns>(columns: C): Column<Row<C>> {
  const entries = Object.entries(columns) as [keyof C & string, Column<unknown>][];
  const type = new arrow.Struct(entries.map(([name, column]) => field(name, column)));
  return {
    type,
    nullable: false,
    gather() {
      const gatherers = entries.map(([name, column]) => [name, column.gather()] as const);
      let length = 0;
      return {
        get length() {
          return length;
        },
        push(row) {
          for (const [name, gatherer] of gatherers) gatherer.push(row[name]);
          length++;
        },
        finish: () => makeData({ type, length, children: gatherers.map(([, gatherer]) => gatherer.finish()) }),
      };
    },
    reader(data) {
      const readers = entries.map(([name, column]) => [name, column.reader(childOf(data, name))] as const);
      return (row) => {
        const values: Record<string, unknown> = {};
        for (const [name, read] of readers) values[name] = read(row);
        return values as Row<C>;
      };
    },
  };
}

/** A value that may be missing; `filler` stands in its place in Arrow's buffers. */
export function optional<T>(column: Column<T>, filler: T): Column<T | undefined> {
  return {
    type: column.type,
    nullable: true,
    gather() {
      const values = column.gather();
      const missing: number[] = [];
      return {
        get length() {
          return values.length;
        },
        push(value) {
          if (value === undefined) missing.push(values.length);
          values.push(value ?? filler);
        },
        finish() {
          const data = values.finish();
          const valid = new Uint8Array((data.length + 7) >> 3).fill(0xff);
          for (const i of missing) valid[i >> 3]! &= ~(1 << (i & 7));
          const buffers = { ...data.buffers, [arrow.BufferType.VALIDITY]: valid };
          return new arrow.Data(data.type, 0, data.length, missing.length, buffers, data.children);
        },
      };
    },
    reader(data) {
      const read = column.reader(data);
      return (row) => (data.getValid(row) ? read(row) : undefined);
    },
  };
}

function field(name: string, { type, nullable }: Pick<Column<unknown>, "type" | "nullable">) {
  return new arrow.Field(name, type, nullable);
}

export function schemaOf(columns: Columns): Schema {
  return new arrow.Schema(Object.entries(columns).map(([name, column]) => field(name, column)));
}

/** Gathers whole rows. */
export class RowGatherer<C extends Columns> {
  readonly #columns: C;
  #rows: Gatherer<Row<C>>;

  constructor(columns: C) {
    this.#columns = columns;
    this.#rows = struct(columns).gather();
  }

  get length(): number {
    return this.#rows.length;
  }

  push(row: Row<C>): void {
    this.#rows.push(row);
  }

  /** The rows so far, as an Arrow table; the next row begins a new one. */
  take(): Table {
    const data = this.#rows.finish() as Data<Struct>;
    this.#rows = struct(this.#columns).gather();
    const schema = schemaOf(this.#columns);
    return new arrow.Table(schema, new arrow.RecordBatch(schema, data));
  }
}

/** What reads row by row of a batch that has these columns. */
export function rowReader<C extends Columns>(batch: RecordBatch, columns: C): (row: number) => Row<C> {
  return struct(columns).reader(batch.data);
}

/** The rows of a batch that has these columns. */
export function readRows<C extends Columns>(batch: RecordBatch, columns: C): Row<C>[] {
  const read = rowReader(batch, columns);
  return Array.from({ length: batch.numRows }, (_, row) => read(row));
}

/** A table as a file of Arrow's, and its only batch from such a file. @throws Error when it is none */
export function arrowFile(table: Table): Uint8Array {
  return arrow.tableToIPC(table, "file");
}
export function batchOfFile(bytes: Uint8Array): RecordBatch {
  return arrow.tableFromIPC(bytes).batches[0]!;
}

/** A column of a batch, or a part of a struct. */
export function childOf({ type, children }: Data, name: string): Data {
  return children[(type.children as { name: string }[]).findIndex((child) => child.name === name)]!;
}

/** `x` to six significant digits. */
export function sixDigits(x: number): number {
  if (x === 0) return 0;
  const scale = POWERS_OF_TEN[5 - Math.floor(Math.log10(Math.abs(x)))];
  // Both are exact in double precision, so their quotient is the number that the digits stand for.
  return scale === undefined ? Number(x.toPrecision(6)) : Math.round(x * scale) / scale;
}
