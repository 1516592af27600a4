/**
 * @file Decodes the pages of a Parquet column that is not nested. hyparquet, which decodes what is in them, believes the lengths and counts that a file tells; damaged ones keep it
 * busy for hours, or fill the memory. So each is held against what there is before hyparquet sees it.
 * Format: https://parquet.apache.org/docs/file-format/data-pages/, https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */
import type { DecodedArray, SchemaElement } from "hyparquet";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { convert, DEFAULT_PARSERS } from "hyparquet/src/convert.js";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { readVarInt } from "hyparquet/src/thrift.js";

interface Reader {
  readonly view: DataView;
  offset: number;
}

export interface Column {
  readonly element: SchemaElement;
  readonly rows: number;
  /** Of one page, where pages are packed. */
  readonly unpack: ((packed: Uint8Array, size: number) => Uint8Array) | undefined;
}

type PageHeader = ReturnType<typeof parquetHeader>;

export const MAX_PAGE = 1 << 28; // pages are made to hold about a megabyte
const MAX_COLUMN = 2 ** 31; // of one row group, unpacked
const RUN_PADDING = 512; // bit-packed values come in eights, and some writers fill up runs of 63 of these

/**
 * The values of a column in one row group, null where there is none. Takes a time and a memory that grow with what the pages hold, unpacked, and with the rows.
 * @param chunk the column's part of the row group @throws Error when it is damaged
 */
export function readColumn(chunk: Uint8Array, { element, rows, unpack }: Column): unknown[] {
  const reader = readerOf(chunk);
  const root = { count: 2, element: { name: "root" }, children: [], path: [] };
  const leaf = { count: 1, element, children: [], path: [element.name] };
  const decoder = {
    pathInSchema: [element.name],
    type: element.type!,
    element,
    schemaPath: [root, leaf],
    codec: "UNCOMPRESSED" as const,
    parsers: DEFAULT_PARSERS,
  };
  const values: unknown[] = [];
  let dictionary: DecodedArray | undefined;
  let unpacked = 0;
  while (values.length < rows && reader.offset < chunk.length) {
    const header = readHeader(reader);
    const packed = chunk.subarray(
      reader.offset,
      reader.offset + within("bytes of a page", header.compressed_page_size, chunk.length - reader.offset),
    );
    reader.offset += packed.length;
    const page = unpackPage(packed, header, unpack);
    unpacked += page.length;
    within("bytes of pages", unpacked, MAX_COLUMN);
    const ready = { ...header, compressed_page_size: page.length, uncompressed_page_size: page.length };
    if (header.type === "DICTIONARY_PAGE") {
      within("values of a dictionary", header.dictionary_page_header?.num_values, page.length);
      const { data } = readPage(readerOf(page), ready, decoder, undefined, undefined, 0);
      dictionary = data && convert(data, decoder);
      continue;
    }
    const count = within("rows of a page", dataHeader(header)?.num_values, rows - values.length);
    if (count === 0) continue;
    if (checkValues(page, header, element, count) === 0) {
      for (let i = 0; i < count; i++) values.push(null);
      continue;
    }
    const { data } = readPage(readerOf(page), ready, decoder, dictionary, undefined, 0);
    if (data?.length !== count) throw new Error(`a page has ${data?.length} of ${count} rows`);
    for (const value of data) {
      if (value === undefined) throw new Error("a page refers to values that there are not");
      values.push(value);
    }
  }
  if (values.length !== rows) throw new Error(`it has ${values.length} of ${rows} rows`);
  return values;
}

/** Steps over a structure of Thrift. @throws Error where hyparquet would read for long or for ever: numbers without an end, lists longer than what is left */
export function checkStruct(reader: Reader): void {
  for (;;) {
    const field = reader.view.getUint8(reader.offset++);
    const type = field & 15;
    if (type === 0) return;
    if (field >> 4 === 0) checkedNumber(reader, 5);
    if (type > 2) checkElement(reader, type); // 1 and 2 are true and false themselves
  }
}

function checkElement(reader: Reader, type: number): void {
  const left = () => reader.view.byteLength - reader.offset;
  if (type <= 3) reader.offset++;
  else if (type <= 5) checkedNumber(reader, 5);
  else if (type === 6) checkedNumber(reader, 10);
  else if (type === 7) reader.offset += 8;
  else if (type === 8) {
    const length = checkedNumber(reader, 5);
    reader.offset += within("bytes of a text", length, left());
  } else if (type === 9) {
    const head = reader.view.getUint8(reader.offset++);
    const length = within("elements of a list", head >> 4 === 15 ? checkedNumber(reader, 5) : head >> 4, left());
    for (let i = 0; i < length; i++) checkElement(reader, head & 15);
  } else if (type === 12) checkStruct(reader);
  else throw new Error(`it has a field of type ${type}`);
}

/** Reads a number of at most so many bytes; of more than five only its end is right. */
function checkedNumber(reader: Reader, bytes: number): number {
  let last = reader.offset;
  while (reader.view.getUint8(last) >= 128) last++;
  if (last - reader.offset >= bytes) throw new Error(`it has a number of ${last + 1 - reader.offset} bytes`);
  return readVarInt(reader);
}

function readHeader(reader: Reader): PageHeader {
  const start = reader.offset;
  checkStruct(reader);
  reader.offset = start;
  return parquetHeader(reader);
}

function dataHeader(header: PageHeader): { num_values: number; encoding: string } | undefined {
  return header.type === "DATA_PAGE_V2" ? header.data_page_header_v2 : header.data_page_header;
}

function unpackPage(packed: Uint8Array, header: PageHeader, unpack: Column["unpack"]): Uint8Array {
  const v2 = header.type === "DATA_PAGE_V2" ? header.data_page_header_v2 : undefined;
  if (unpack === undefined || v2?.is_compressed === false) return packed;
  const size = within("bytes of an unpacked page", header.uncompressed_page_size, MAX_PAGE);
  const levels = v2 ? levelsOf(v2, Math.min(size, packed.length)) : 0; // which are not packed
  if (packed.length === levels) return packed;
  const values = unpack(packed.subarray(levels), size - levels);
  if (values.length !== size - levels) throw new Error(`a page unpacks to ${values.length} bytes, not ${size - levels}`);
  if (levels === 0) return values;
  const page = new Uint8Array(size);
  page.set(packed.subarray(0, levels));
  page.set(values, levels);
  return page;
}

function levelsOf(v2: NonNullable<PageHeader["data_page_header_v2"]>, most: number): number {
  const repetition = within("bytes of levels", v2.repetition_levels_byte_length, most);
  return repetition + within("bytes of levels", v2.definition_levels_byte_length, most - repetition);
}

/** How many of a page's rows have a value. @throws Error when its levels or values say more than there is */
function checkValues(page: Uint8Array, header: PageHeader, { repetition_type, type }: SchemaElement, count: number): number {
  const reader = readerOf(page);
  const v2 = header.type === "DATA_PAGE_V2" ? header.data_page_header_v2! : undefined;
  const optional = repetition_type !== "REQUIRED";
  let present = count;
  if (v2) {
    const end = levelsOf(v2, page.length);
    if (optional) checkRuns({ view: reader.view, offset: v2.repetition_levels_byte_length }, 1, count, end);
    present -= within("rows without a value", v2.num_nulls, count);
    reader.offset = end;
  } else if (optional) {
    const end = 4 + within("bytes of levels", reader.view.getUint32(0, true), page.length - 4);
    checkRuns({ view: reader.view, offset: 4 }, 1, count, end);
    const levels = new Uint8Array(count);
    readRleBitPackedHybrid(reader, 1, levels);
    present = levels.reduce((sum, level) => sum + (level === 1 ? 1 : 0), 0);
  }
  if (present === 0) return 0;
  const encoding = dataHeader(header)?.encoding;
  if (encoding === "RLE") throw new Error(`a column of ${type} is encoded as RLE`);
  if (encoding === "RLE_DICTIONARY" || encoding === "PLAIN_DICTIONARY") {
    const width = within("bits", reader.view.getUint8(reader.offset++), 32);
    if (width > 0 || v2) checkRuns(reader, width, present, page.length);
  } else if (encoding === "DELTA_BINARY_PACKED" || encoding === "DELTA_LENGTH_BYTE_ARRAY") {
    checkDeltas(reader);
  } else if (encoding === "DELTA_BYTE_ARRAY") {
    checkDeltas(reader);
    const prefixes = new Int32Array(present);
    deltaBinaryUnpack(reader, present, prefixes);
    checkDeltas(reader);
    within(
      "bytes of texts",
      prefixes.reduce((sum, length) => sum + length, 0),
      MAX_PAGE,
    );
  }
  return present;
}

/** Steps over runs of equal or packed numbers, as hyparquet reads them, until there are `count`. @throws Error at one that says more than is left */
function checkRuns(reader: Reader, width: number, count: number, end: number): void {
  for (let seen = 0; seen < count; ) {
    if (reader.offset >= end) throw new Error(`a page has ${seen} of ${count} numbers`);
    const head = checkedNumber(reader, 5) >>> 0;
    const packed = head % 2 === 1;
    seen += within("values of a run", packed ? (head >>> 1) * 8 : head >>> 1, count - seen + RUN_PADDING);
    reader.offset += packed ? Math.max(1, (head >>> 1) * width) : (width + 7) >> 3;
  }
}

/** Differences begin with the size of their blocks; hyparquet goes backwards by negative ones, for ever. */
function checkDeltas({ view, offset }: Reader): void {
  const reader = { view, offset };
  const block = within("values of a block", checkedNumber(reader, 5), 1 << 20);
  within("parts of a block", checkedNumber(reader, 5), block);
}

function within(what: string, value: unknown, most: number): number {
  if (!(Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most))
    throw new Error(`it tells of ${value} ${what} where there can be ${most}`);
  return value as number;
}

function readerOf(bytes: Uint8Array): Reader {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
}
