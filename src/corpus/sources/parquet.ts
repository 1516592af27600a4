/** @file Reads a column of text from a Parquet file, one row group after another; of a file on the network, only that column's bytes are asked for. */
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { decompress } from "fzstd";
import { type Compressors, type FileMetaData, type ParquetRow, parquetMetadataAsync, parquetRead, type SchemaElement } from "hyparquet";
import { FormatError, MonoscopeError } from "../../errors.ts";
import type { OpenFile } from "./files.ts";
import { unsnapped } from "./snappy.ts";

export interface TextRow {
  /** From 1. */
  row: number;
  text: string;
  id?: string;
  kind?: string;
  language?: string;
}

const MAX_FOOTER = 1 << 28; // a file of a million row groups has some hundred megabytes
const MAX_PAGE = 1 << 28; // pages are made to hold about a megabyte
const MAX_GROUP = 2 ** 31; // what one column of a row group holds, unpacked
const MAX_GROUP_ROWS = 1 << 26;
const ABOUT = ["id", "kind", "language"] as const;

/** @throws FormatError for a file that is damaged, lies about its size, or has no such column of text; and what reading throws */
export async function* readParquet(file: OpenFile, label: string, column: string): AsyncGenerator<TextRow> {
  const damaged = (error: unknown): never => {
    if (error instanceof MonoscopeError) throw error;
    throw new FormatError(`${label} is a damaged or truncated Parquet file: ${(error as Error).message}. Fetch it again.`, {
      cause: error,
    });
  };
  const buffer = {
    byteLength: file.size,
    slice: async (start: number, end = file.size) => {
      const bytes = await file.read(start, end);
      if (bytes.length < end - start) throw new Error(`it ends at byte ${start + bytes.length}`);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    },
  };
  const metadata = await footer(buffer, label).catch(damaged);
  const columns = [column, ...ABOUT.filter((name) => name !== column && isPlain(metadata, name))];
  checkColumn(metadata, column, label);
  let first = 0;
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows);
    for (const { meta_data: chunk } of group.columns) {
      if (chunk !== undefined && columns.includes(chunk.path_in_schema[0]!) && chunk.total_uncompressed_size > MAX_GROUP)
        throw new FormatError(
          `${label} has ${chunk.total_uncompressed_size} bytes of ${chunk.path_in_schema[0]} in one row group; the limit is ${MAX_GROUP}. Write it with smaller row groups.`,
        );
    }
    if (!(rows >= 0 && rows <= MAX_GROUP_ROWS))
      throw new FormatError(`${label} has ${rows} rows in one row group; the limit is ${MAX_GROUP_ROWS}.`);
    let found: ParquetRow[] = [];
    await parquetRead({
      file: buffer,
      metadata,
      columns,
      rowStart: first,
      rowEnd: first + rows,
      rowFormat: "object",
      compressors: compressors(label),
      onComplete: (complete) => {
        found = complete;
      },
    }).catch(damaged);
    if (found.length !== rows) damaged(new Error(`it has ${found.length} of ${rows} rows`));
    for (const [i, record] of found.entries()) {
      const text: unknown = record[column];
      if (text === null || text === undefined) continue;
      if (typeof text !== "string")
        throw new FormatError(`${label}:${first + i + 1} has ${typeof text} in the column "${column}", not text.`);
      const about = Object.fromEntries(
        ABOUT.flatMap((name) => (isLabel(record[name]) && name !== column ? [[name, String(record[name])]] : [])),
      );
      yield { row: first + i + 1, text, ...about };
    }
    first += rows;
  }
}

function isLabel(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "bigint";
}

async function footer(
  buffer: { byteLength: number; slice(start: number, end?: number): Promise<ArrayBuffer> },
  label: string,
): Promise<FileMetaData> {
  if (buffer.byteLength < 12) throw new Error("it is too short");
  const end = new DataView(await buffer.slice(buffer.byteLength - 8));
  const length = end.getUint32(0, true);
  if (length > MAX_FOOTER) throw new FormatError(`${label} has a footer of ${length} bytes; the limit is ${MAX_FOOTER}.`);
  return parquetMetadataAsync(buffer);
}

/** The top-level columns of a file. */
function topLevel({ schema }: FileMetaData): SchemaElement[] {
  const columns: SchemaElement[] = [];
  const skip = (i: number): number => {
    let next = i + 1;
    for (let child = 0; child < (schema[i]?.num_children ?? 0); child++) next = skip(next);
    return next;
  };
  for (let i = 1; i < schema.length; i = skip(i)) columns.push(schema[i]!);
  return columns;
}

function isPlain(metadata: FileMetaData, name: string): boolean {
  return topLevel(metadata).some((element) => element.name === name && !element.num_children && element.repetition_type !== "REPEATED");
}

function checkColumn(metadata: FileMetaData, column: string, label: string): void {
  const columns = topLevel(metadata);
  const element = columns.find(({ name }) => name === column);
  const told = columns.map((each) => `${each.name} (${isText(each) ? "text" : (each.type ?? "nested").toLowerCase()})`).join(", ");
  if (element === undefined)
    throw new FormatError(
      `${label} has no column "${column}"; it has ${told || "none"}. Name the column that holds the text with --column.`,
    );
  if (!isText(element))
    throw new FormatError(
      `the column "${column}" of ${label} holds no text; it has ${told}. Name the column that holds the text with --column.`,
    );
}

function isText({
  type,
  num_children: children,
  repetition_type: repetition,
  converted_type: converted,
  logical_type: logical,
}: SchemaElement): boolean {
  return (
    type === "BYTE_ARRAY" &&
    !children &&
    repetition !== "REPEATED" &&
    [undefined, "UTF8", "ENUM", "JSON"].includes(converted) &&
    [undefined, "STRING", "ENUM", "JSON"].includes(logical?.type)
  );
}

/** The ways to compress that files on the hub use; each page is held against the size that its header tells. */
function compressors(label: string): Compressors {
  let total = 0;
  const checked = (unpack: (page: Uint8Array, size: number) => Uint8Array) => (page: Uint8Array, size: number) => {
    total += size;
    if (!(size >= 0 && size <= MAX_PAGE && total <= 4 * MAX_GROUP))
      throw new FormatError(`${label} has a page of ${size} bytes, unpacked; the limit is ${MAX_PAGE}.`);
    return unpack(page, size);
  };
  return {
    SNAPPY: checked((page, size) => unsnapped(page, new Uint8Array(size))),
    ZSTD: checked((page, size) => decompress(page, new Uint8Array(size))),
    GZIP: checked((page, size) => gunzipSync(page, { maxOutputLength: Math.max(1, size) })),
    BROTLI: checked((page, size) => brotliDecompressSync(page, { maxOutputLength: Math.max(1, size) })),
  };
}
