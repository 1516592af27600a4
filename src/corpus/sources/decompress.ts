/** @file Unpacks streams of gzip and Zstandard, without unpacking what was made to fill a disk or a memory. */
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";
import { FormatError } from "../../errors.ts";

// Ordinary text becomes three to five times as long, and logs that repeat themselves a hundred times.
const MOST_EXPANSION = 500;
const ALWAYS_ALLOWED = 1 << 26;
const ZSTD_PIECE = 1 << 12; // four bytes of Zstandard may stand for 128 kB

/** The bytes that a file holds: as they are, or unpacked where its name ends in `.gz` or `.zst`. @throws FormatError, and what `chunks` throws */
export function unpacked(path: string, label: string, chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (/\.gz$/i.test(path)) return guarded(gunzipped, label, "gzip", chunks);
  if (/\.zst$/i.test(path)) return guarded(unzstded, label, "Zstandard", chunks);
  return chunks;
}

async function* guarded(
  unpack: (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
  label: string,
  kind: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let packed = 0;
  let out = 0;
  let sourceFailure: unknown;
  async function* counted() {
    try {
      for await (const chunk of chunks) {
        packed += chunk.length;
        yield chunk;
      }
    } catch (error) {
      sourceFailure = error;
      throw error;
    }
  }
  try {
    for await (const chunk of unpack(counted())) {
      out += chunk.length;
      if (out > ALWAYS_ALLOWED && out > MOST_EXPANSION * packed)
        throw new FormatError(
          `${label} becomes more than ${MOST_EXPANSION} times as large when it is unpacked: that is no text, and was given up after ${out} bytes.`,
        );
      yield chunk;
    }
  } catch (error) {
    if (error instanceof FormatError || sourceFailure !== undefined) throw sourceFailure ?? error;
    const { code, message } = error as NodeJS.ErrnoException;
    const truncated = code === "Z_BUF_ERROR" || /unexpected EOF/i.test(message);
    throw new FormatError(
      truncated
        ? `${label} is a truncated ${kind} file. Fetch or compress it again.`
        : `${label} is not a valid ${kind} file: ${message}. Fetch or compress it again.`,
      { cause: error },
    );
  }
}

async function* gunzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks, { objectMode: false });
  const target = createGunzip();
  source.on("error", (error) => target.destroy(error));
  try {
    yield* source.pipe(target) as AsyncIterable<Uint8Array>;
  } finally {
    source.destroy();
    target.destroy();
  }
}

async function* unzstded(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const stream = new Decompress((chunk) => void ready.push(chunk.slice())); // its buffer is used again
  const push = function* (chunk: Uint8Array, last: boolean) {
    stream.push(chunk, last);
    yield* ready.splice(0);
  };
  for await (const chunk of chunks)
    for (let at = 0; at < chunk.length; at += ZSTD_PIECE) yield* push(chunk.slice(at, at + ZSTD_PIECE), false);
  yield* push(new Uint8Array(0), true);
  ready = [];
}
