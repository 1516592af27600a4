/** @file Reads a column of text from a Parquet file, one row group after another; of a file on the network, only that column's bytes are asked for. */
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { decompress } from "fzstd";
import { type FileMetaData, parquetMetadata, type SchemaElement } from "hyparquet";
import { FormatError, MonoscopeError, UnsupportedError } from "../../errors.ts";
import type { OpenFile } from "./files.ts";
import { type Column, checkStruct, readColumn } from "./parquet-pages.ts";
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
const MAX_GROUP = 2 ** 31; // what one column of a row group holds
const MAX_GROUP_ROWS = 1 << 26;
const ABOUT = ["id", "kind", "language"] as const;
const NUMBERS = ["INT32", "INT64", "FLOAT", "DOUBLE"];

type RowGroup = FileMetaData["row_groups"][number];

/** @throws FormatError for a file that is damaged, lies about its size, or has no such column of text; UnsupportedError for a way to compress; and what reading throws */
export async function* readParquet(file: OpenFile, label: string, column: string): AsyncGenerator<TextRow> {
  const damaged = (error: unknown): never => {
    if (error instanceof MonoscopeError) throw error;
    throw new FormatError(`${label} is a damaged or truncated Parquet file: ${(error as Error).message}. Fetch it again.`, {
      cause: error,
    });
  };
  const metadata = await footer(file, label).catch(damaged);
  checkColumn(metadata, column, label);
  const about = topLevel(metadata).filter((each) => each.name !== column && isAbout(each));
  const text = topLevel(metadata).find(({ name }) => name === column)!;
  let first = 0;
  for (const group of metadata.row_groups) {
    const [texts, ...others] = await readGroup(file, label, group, [text, ...about]).catch(damaged);
    for (const [i, text] of texts!.entries()) {
      if (text === null) continue;
      if (typeof text !== "string")
        throw new FormatError(`${label}:${first + i + 1} has ${typeof text} in the column "${column}", not text.`);
      const labels = about.flatMap(({ name }, c) => (isLabel(others[c]![i]) ? [[name, String(others[c]![i])]] : []));
      yield { row: first + i + 1, text, ...Object.fromEntries(labels) };
    }
    first += texts!.length;
  }
}

function isLabel(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "bigint";
}

/** The end of a file, which says what is where. */
async function footer(file: OpenFile, label: string): Promise<FileMetaData> {
  if (file.size < 12) throw new Error("it is too short");
  const end = await readWhole(file, file.size - 8, file.size);
  const length = new DataView(end.buffer, end.byteOffset).getUint32(0, true);
  if (Buffer.from(end.subarray(4)).toString("latin1") !== "PAR1") throw new Error("it does not end with PAR1");
  if (length > MAX_FOOTER) throw new FormatError(`${label} has a footer of ${length} bytes; the limit is ${MAX_FOOTER}.`);
  if (length > file.size - 12) throw new Error(`it tells of ${length} bytes at its end and has ${file.size}`);
  const bytes = await readWhole(file, file.size - 8 - length, file.size);
  checkStruct({ view: new DataView(bytes.buffer, bytes.byteOffset, length), offset: 0 });
  return parquetMetadata(bytes, { geoparquet: false });
}

/** Columns of a row group. */
async function readGroup(file: OpenFile, label: string, group: RowGroup, columns: readonly SchemaElement[]): Promise<unknown[][]> {
  const rows = Number(group.num_rows);
  if (!(rows >= 0 && rows <= MAX_GROUP_ROWS))
    throw new FormatError(`${label} has ${rows} rows in one row group; the limit is ${MAX_GROUP_ROWS}.`);
  const read: unknown[][] = [];
  for (const element of columns) {
    const { meta_data: chunk, file_path } = group.columns.find(({ meta_data: each }) => each?.path_in_schema[0] === element.name) ?? {};
    if (chunk === undefined) throw new Error(`a row group has no column ${element.name}`);
    if (file_path) throw new UnsupportedError(`${label} has its column ${element.name} in another file, ${file_path}.`);
    if (chunk.total_uncompressed_size > MAX_GROUP)
      throw new FormatError(
        `${label} has ${chunk.total_uncompressed_size} bytes of ${element.name} in one row group; the limit is ${MAX_GROUP}. Write it with smaller row groups.`,
      );
    const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
    const end = start + Number(chunk.total_compressed_size);
    if (!(start >= 0 && end >= start && end <= file.size && end - start <= MAX_GROUP))
      throw new Error(`it tells of bytes ${start} to ${end} and has ${file.size}`);
    read.push(readColumn(await readWhole(file, start, end), { element, rows, unpack: unpacking(chunk.codec, label) }));
  }
  return read;
}

async function readWhole(file: OpenFile, start: number, end: number): Promise<Uint8Array> {
  const bytes = await file.read(start, end);
  if (bytes.length < end - start) throw new Error(`it ends at byte ${start + bytes.length}`);
  return bytes;
}

/** The top-level columns of a file. */
function topLevel({ schema }: FileMetaData): SchemaElement[] {
  const columns: SchemaElement[] = [];
  let below = 0; // elements that belong to the last of these
  for (const element of schema.slice(1)) {
    if (below === 0) columns.push(element);
    else below--;
    below += Math.max(0, element.num_children ?? 0);
  }
  return columns;
}

/** Whether a column says something of its rows: texts or numbers. */
function isAbout(element: SchemaElement): boolean {
  const isNumber = NUMBERS.includes(element.type ?? "") && !element.num_children && element.repetition_type !== "REPEATED";
  return ABOUT.some((name) => name === element.name) && (isText(element) || isNumber);
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

/** The ways to compress that files on the hub use. @throws UnsupportedError */
function unpacking(codec: string, label: string): Column["unpack"] {
  switch (codec) {
    case "UNCOMPRESSED":
      return undefined;
    case "SNAPPY":
      return (page, size) => unsnapped(page, new Uint8Array(size));
    case "ZSTD":
      return (page, size) => decompress(page, new Uint8Array(size));
    case "GZIP":
      return (page, size) => gunzipSync(page, { maxOutputLength: Math.max(1, size) });
    case "BROTLI":
      return (page, size) => brotliDecompressSync(page, { maxOutputLength: Math.max(1, size) });
    default:
      throw new UnsupportedError(`${label} has an unsupported compression codec: ${codec}. Write it with zstd, snappy, gzip or brotli.`);
  }
}
