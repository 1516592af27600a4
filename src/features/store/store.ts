/** @file The Lance tables of a folder: opened when they are asked for, read and written, with LanceDB's errors in our words. */
import { readdir, rm, stat } from "node:fs/promises";
import { availableParallelism, constants, tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection, Table } from "@lancedb/lancedb";
import type { RecordBatch } from "apache-arrow";
import { DiskError, FormatError, MonoscopeError } from "../../errors.ts";
import { asDiskError } from "../../files.ts";
import { type Columns, type Row, readRows, schemaOf } from "./columns.ts";

// Of the usual batches of 1,024 rows, passing them from LanceDB to JavaScript takes five times as long as reading them.
const ROWS_PER_BATCH = 1 << 14;
// What another process wrote is seen after this many seconds.
const STALE_SECONDS = 5;

/** LanceDB is a native library of a hundred megabytes: loaded with the first catalogue, not by every command. */
export function lancedb(): Promise<typeof import("@lancedb/lancedb")> {
  // LanceDB leaves two cores unused. With three or fewer that is one thread, for which building an index of words then waits forever (lance-format/lance#7350).
  process.env.LANCE_CPU_THREADS ??= String(Math.max(2, availableParallelism()));
  return import("@lancedb/lancedb");
}

export class Store {
  readonly folder: string;
  readonly #connection: Connection;
  readonly #tables = new Map<string, Promise<Table>>();

  private constructor(folder: string, connection: Connection) {
    this.folder = folder;
    this.#connection = connection;
  }

  static async open(folder: string): Promise<Store> {
    const { connect } = await lancedb();
    return new Store(folder, await connect(folder, { readConsistencyInterval: STALE_SECONDS }));
  }

  close(): void {
    for (const table of this.#tables.values()) table.then((open) => open.close()).catch(() => {});
    this.#tables.clear();
    this.#connection.close();
  }

  /** Makes sure that there is a table. @throws DiskError */
  async create(name: string, columns: Columns): Promise<void> {
    if (!(await this.#has(name)))
      await this.#writing(name, async () => {
        await rm(tablePath(this.folder, name), { recursive: true, force: true });
        this.#tables.set(name, Promise.resolve(await this.#connection.createEmptyTable(name, schemaOf(columns))));
      });
  }

  /** Makes an empty table in the place of one that may be there. @throws DiskError */
  async recreate(name: string, columns: Columns): Promise<void> {
    this.#tables.delete(name);
    if (await this.#has(name)) await this.#writing(name, () => this.#connection.dropTable(name));
    await this.create(name, columns);
  }

  /** Does something that changes a table. @throws DiskError */
  async write<T>(name: string, change: (table: Table) => Promise<T>): Promise<T> {
    const table = await this.#open(name);
    return this.#writing(name, () => change(table));
  }

  /** Reads something from a table. @throws FormatError when that is not possible */
  async read<T>(name: string, query: (table: Table) => Promise<T>): Promise<T> {
    const table = await this.#open(name);
    return query(table).catch((error) => {
      throw this.#unreadable(name, error);
    });
  }

  /** The rows at some positions, in any order; those of a range, such as a feature's examples, are read as one. @throws FormatError */
  async rows<C extends Columns>(name: string, columns: C, positions: readonly number[]): Promise<Row<C>[]> {
    if (positions.length === 0) return [];
    return this.read(name, async (table) => {
      const range = positions.every((position, i) => position === positions[0]! + i);
      const query = range ? table.query().offset(positions[0]!).limit(positions.length) : table.takeOffsets([...positions]);
      const found = await query.select(Object.keys(columns)).toArrow();
      return found.batches.flatMap((batch) => readRows(batch, columns));
    });
  }

  /** The rows that satisfy an SQL condition. @throws FormatError */
  async matching<C extends Columns>(name: string, columns: C, condition: string): Promise<Row<C>[]> {
    return this.read(name, async (table) => {
      const found = await table.query().where(condition).select(Object.keys(columns)).toArrow();
      return found.batches.flatMap((batch) => readRows(batch, columns));
    });
  }

  /** The rows of some features, in any order. @throws FormatError */
  async ofFeatures<C extends Columns>(name: string, columns: C, features: readonly number[]): Promise<Row<C>[]> {
    return features.length === 0 ? [] : this.matching(name, columns, isAmong(features));
  }

  /** Goes through some columns of all rows, a batch at a time. They are in memory all at once. @throws FormatError */
  async scan(name: string, columns: readonly string[], each: (batch: RecordBatch) => void): Promise<void> {
    await this.read(name, async (table) => {
      const found = await table
        .query()
        .select([...columns])
        .toArrow({ maxBatchLength: ROWS_PER_BATCH });
      for (const batch of found.batches) each(batch);
    });
  }

  /** Whether there is a table. One that has no version yet was begun on a disk that was full, or by a process that was killed. */
  async #has(name: string): Promise<boolean> {
    if (this.#tables.has(name)) return true;
    const versions = await readdir(join(tablePath(this.folder, name), "_versions")).catch(() => []);
    return versions.some((file) => file.endsWith(".manifest"));
  }

  #open(name: string): Promise<Table> {
    let table = this.#tables.get(name);
    if (table === undefined) {
      table = this.#connection.openTable(name).catch((error) => {
        this.#tables.delete(name);
        throw this.#unreadable(name, error);
      });
      this.#tables.set(name, table);
    }
    return table;
  }

  #unreadable(name: string, error: unknown): unknown {
    if (error instanceof MonoscopeError) return error;
    return new FormatError(
      `the table ${name} of ${this.folder} cannot be read (${reason(error)}); it is damaged or incomplete. Make the catalogue again with \`monoscope catalog\`.`,
      { cause: error },
    );
  }

  async #writing<T>(name: string, change: () => Promise<T>): Promise<T> {
    try {
      return await change();
    } catch (error) {
      const path = join(this.folder, name);
      // A merge that is larger than memory is spread over temporary files, whose errors do not come through.
      if (/\bspill\b/i.test(String(error)))
        throw new DiskError(
          `cannot write ${path}: there is no room for temporary files in ${tmpdir()}. Free some space or name another folder in TMPDIR; nothing half-written was left.`,
          { cause: error },
        );
      // LanceDB passes on the operating system's error as text.
      const number = Number(/os error (\d+)/.exec(String(error))?.[1]);
      const [code] = Object.entries(constants.errno).find(([, errno]) => errno === number) ?? [];
      throw code === undefined ? error : asDiskError(Object.assign(new Error(reason(error)), { code }), path);
    }
  }
}

/** An SQL condition, of one feature at least: SQL has no empty lists. */
export function isAmong(features: readonly number[]): string {
  return `feature IN (${features.join(",")})`;
}

/** What an error says first, without its causes and the place in LanceDB's source that it names. */
function reason(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split(/\n|\s*Caused by:/);
  const text = line.replace(/,? ?\S*\.rs:\d+(:\d+)?/g, "").trim();
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function tablePath(folder: string, name: string): string {
  return join(folder, `${name}.lance`);
}

/** Bytes of all files of a table. */
export async function tableBytes(folder: string, name: string): Promise<number> {
  const root = tablePath(folder, name);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  return bytes;
}
