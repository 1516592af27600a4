/** @file The answers of language models, kept on disk as they arrive: one line of JSON each, appended. A process that is killed loses none that arrived. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { asDiskError, exists } from "../../files.ts";

/** An answer and what it cost. */
export interface Reply {
  readonly text: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export class ReplyCache {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #replies: Map<string, Reply>;

  private constructor(path: string, file: FileHandle, replies: Map<string, Reply>) {
    this.#path = path;
    this.#file = file;
    this.#replies = replies;
  }

  /** Opens the cache in the file `path`, which is made if need be. Lines that are incomplete, because a process was killed or the power failed, do not count. @throws DiskError */
  static async open(path: string): Promise<ReplyCache> {
    const replies = new Map<string, Reply>();
    let file: FileHandle;
    try {
      if (await exists(path)) {
        for await (const line of createInterface({ input: createReadStream(path) })) {
          const entry = parse(line);
          if (entry !== undefined) replies.set(entry.key, entry.reply);
        }
      }
      await mkdir(dirname(path), { recursive: true });
      file = await open(path, "a+");
    } catch (error) {
      throw asDiskError(error, path);
    }
    const cache = new ReplyCache(path, file, replies);
    const { size } = await file.stat();
    // An incomplete last line must not swallow the next.
    if (size > 0 && (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer.toString() !== "\n") await cache.#append("\n");
    return cache;
  }

  /** The key of whatever decides an answer. */
  static key(...parts: readonly unknown[]): string {
    return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
  }

  get(key: string): Reply | undefined {
    return this.#replies.get(key);
  }

  /** Keeps a reply; it is on disk when this resolves. @throws DiskError */
  async put(key: string, reply: Reply): Promise<void> {
    await this.#append(`${JSON.stringify({ key, ...reply })}\n`);
    this.#replies.set(key, reply);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #append(line: string): Promise<void> {
    try {
      await this.#file.appendFile(line);
      await this.#file.datasync();
    } catch (error) {
      throw asDiskError(error, this.#path);
    }
  }
}

function parse(line: string): { key: string; reply: Reply } | undefined {
  try {
    const { key, text, promptTokens, completionTokens } = JSON.parse(line) as Record<string, unknown>;
    if (typeof key !== "string" || typeof text !== "string") return undefined;
    return { key, reply: { text, promptTokens: Number(promptTokens), completionTokens: Number(completionTokens) } };
  } catch {
    return undefined;
  }
}
