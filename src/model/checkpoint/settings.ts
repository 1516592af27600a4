/** @file The hyperparameters of a model by the names that transformers' config.json gives them, each checked when it is read. */
import { FormatError } from "../../errors.ts";
import { isObject, type JsonObject } from "../../json.ts";

// Far beyond any published model; they keep products of two sizes exact.
export const MAX_LAYERS = 1 << 10;
export const MAX_WIDTH = 1 << 20;
export const MAX_CONTEXT = 1 << 24;

export class Settings {
  /** The file that they come from, for messages. */
  readonly path: string;
  readonly #values: JsonObject;
  readonly #spell: (key: string) => string;

  /** @param spell how the file itself names a setting */
  constructor(path: string, values: JsonObject, spell: (key: string) => string = (key) => key) {
    [this.path, this.#values, this.#spell] = [path, values, spell];
  }

  /** The same with values for settings that are missing; null, which means none to some of them, is not missing. */
  withDefaults(defaults: JsonObject): Settings {
    const named = Object.entries(this.#values).filter(([, value]) => value !== undefined);
    return new Settings(this.path, { ...defaults, ...Object.fromEntries(named) }, this.#spell);
  }

  /** A setting as it stands in the file; `undefined` where it is missing or null. */
  value(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? undefined) : undefined;
  }

  /** A whole number from 1 to `most`. @throws FormatError */
  size(key: string, most: number, fallback?: number): number {
    const n = this.number(key, 1, most, fallback);
    if (!Number.isInteger(n)) throw this.#bad(key, n, "a whole number");
    return n;
  }

  /** @throws FormatError when it is missing without a `fallback`, or not a number from `least` to `most` */
  number(key: string, least: number, most: number, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value !== "number" || !(value >= least && value <= most)) throw this.#bad(key, value, `a number from ${least} to ${most}`);
    return value;
  }

  /** @throws FormatError */
  flag(key: string, fallback: boolean): boolean {
    const value = this.value(key) ?? fallback;
    if (typeof value !== "boolean") throw this.#bad(key, value, "true or false");
    return value;
  }

  /** @throws FormatError */
  text(key: string, fallback: string): string {
    const value = this.value(key) ?? fallback;
    if (typeof value !== "string") throw this.#bad(key, value, "a name");
    return value;
  }

  /** @throws FormatError */
  list(key: string): readonly unknown[] | undefined {
    const value = this.value(key);
    if (value !== undefined && !Array.isArray(value)) throw this.#bad(key, value, "a list");
    return value;
  }

  /** The settings inside a setting. @throws FormatError */
  group(key: string): Settings | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.#bad(key, value, "an object");
    return new Settings(this.path, value, (inner) => `${this.#spell(key)}.${inner}`);
  }

  /** How the file itself names a setting. */
  spell(key: string): string {
    return this.#spell(key);
  }

  #bad(key: string, value: unknown, expected: string): FormatError {
    return new FormatError(`${this.path}: ${this.#spell(key)} is ${JSON.stringify(value) ?? "missing"}, expected ${expected}.`);
  }
}
