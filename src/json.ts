/** @file JSON objects in files that others wrote. */
import { readFile, stat } from "node:fs/promises";
import { FormatError, NotFoundError } from "./errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws FormatError unless `value`, which `where` names, is a JSON object */
export function asObject(value: unknown, where: string): JsonObject {
  if (!isObject(value)) throw new FormatError(`${where} is not a JSON object`);
  return value;
}

/** @throws FormatError unless `value`, which `where` names, is a list of JSON objects */
export function asObjects(value: unknown, where: string): readonly JsonObject[] {
  if (!Array.isArray(value)) throw new FormatError(`${where} is not a list`);
  return value.map((each, i) => asObject(each, `${where}[${i}]`));
}

/** What a file holds, if there is one. @throws FormatError when it is larger than `limit`, in bytes */
export async function textIfAny(path: string, limit: number): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return undefined;
  if (found.size > limit) throw new FormatError(`${path} has ${found.size} bytes; the limit is ${limit}`);
  return readFile(path, "utf8");
}

/** The JSON object in a file, if there is one. @throws FormatError */
export async function objectIfAny(path: string, limit: number): Promise<JsonObject | undefined> {
  const text = await textIfAny(path, limit);
  if (text === undefined) return undefined;
  try {
    return asObject(JSON.parse(text), path);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new FormatError(`${path} is not JSON (${cause.message})`, { cause });
    throw cause;
  }
}

/** The same of a file that has to be there. @param what is missing without it, in a sentence @throws NotFoundError, FormatError */
export async function readObject(path: string, limit: number, what = ""): Promise<JsonObject> {
  const found = await objectIfAny(path, limit);
  if (found === undefined) throw new NotFoundError(`there is no file ${path}${what && `. ${what}`}`);
  return found;
}
