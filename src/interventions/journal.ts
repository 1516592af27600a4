/** @file A file that long work appends its results to, one line of JSON each, so that it goes on where it was stopped. */
import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { ArgumentError, FormatError } from "../errors.ts";
import { asDiskError } from "../files.ts";

export class Journal<Result> {
  /** What earlier runs wrote. */
  readonly results: readonly Result[];
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle, results: readonly Result[]) {
    [this.#path, this.#file, this.results] = [path, file, results];
  }

  /**
   * Opens or begins a journal. Its first line is `header`: everything that results depend on. A last line that a killed run left incomplete is cut off.
   * @throws ArgumentError when it holds results of something else, FormatError, DiskError
   */
  static async open<Result>(path: string, header: Readonly<Record<string, string | number>>): Promise<Journal<Result>> {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw asDiskError(error, path);
    });
    const [first, ...lines] = text.split("\n");
    const complete = lines.slice(0, -1);
    if (lines.length > 0) {
      const found = parse<Record<string, unknown> | null>(first!, path, 1);
      const other = Object.keys(header).filter((key) => found?.[key] !== header[key]);
      if (other.length > 0)
        throw new ArgumentError(
          `${path} has what a stopped run measured with another ${other.join(", another ")}: run that one to its end, or remove the file`,
        );
    }
    const results = complete.map((line, i) => parse<Result>(line, path, i + 2));
    try {
      await mkdir(dirname(path), { recursive: true });
      const file = await open(path, "a");
      await file.truncate(lines.length > 0 ? Buffer.byteLength([first, ...complete, ""].join("\n")) : 0);
      if (lines.length === 0) await file.appendFile(`${JSON.stringify(header)}\n`);
      return new Journal(path, file, results);
    } catch (error) {
      throw asDiskError(error, path);
    }
  }

  /** @throws DiskError */
  async append(results: readonly Result[]): Promise<void> {
    try {
      await this.#file.appendFile(results.map((result) => `${JSON.stringify(result)}\n`).join(""));
    } catch (error) {
      throw asDiskError(error, this.#path);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** SHA-256, for what a header cannot hold whole. */
export function digest(parts: Iterable<string | NodeJS.ArrayBufferView>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

function parse<Result>(line: string, path: string, number: number): Result {
  try {
    return JSON.parse(line) as Result;
  } catch (error) {
    throw new FormatError(`${path}, line ${number} is not JSON (${(error as Error).message}). Remove the file to begin anew.`);
  }
}
