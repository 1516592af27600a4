/** @file Damages files in every way that comes to mind, and opens them: they open, or are refused with one of Monoscope's errors. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MonoscopeError } from "./errors.ts";
import { seededRandom } from "./random.ts";

export interface FuzzReport {
  readonly cases: number;
  /** Cases by what came of them: "opened", or the code of the error. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The largest resident set that was seen, in MiB. */
  readonly memory: number;
  /** The longest case, in seconds of the processor. */
  readonly slowest: number;
}

type Random = () => number;

/** Numbers that lengths and offsets should not be. */
const HOSTILE = [0, 1, 0x7f, 0xff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** What settings should not be. */
const ODD = [null, true, -1, 1e308, "", "x", [], {}, [null]];

/** The JSON value with something odd, or nothing, in place of one that is in it. */
function odd(value: unknown, random: Random): unknown {
  const keys = typeof value === "object" && value !== null ? Object.keys(value) : [];
  if (keys.length === 0 || random() < 0.2) return ODD[Math.floor(random() * ODD.length)];
  const key = keys[Math.floor(random() * keys.length)]!;
  const other = random() < 0.1 ? undefined : odd((value as Record<string, unknown>)[key], random);
  return Array.isArray(value) ? value.with(Number(key), other) : { ...(value as object), [key]: other };
}

function damaged(bytes: Buffer, random: Random, others: readonly Buffer[]): Buffer {
  const below = (n: number) => Math.floor(random() * n);
  // Headers, directories and configurations decide more than numbers do: they lie at the ends.
  const place = () =>
    random() < 0.7
      ? random() < 0.5
        ? below(Math.min(600, bytes.length))
        : bytes.length - 1 - below(Math.min(1200, bytes.length))
      : below(bytes.length);
  const copy = Buffer.from(bytes);
  switch (below(7)) {
    case 0:
      return copy.subarray(0, below(copy.length));
    case 1:
      return Buffer.concat([copy, Buffer.alloc(1 + below(1000), below(256))]);
    case 2: {
      const at = Math.min(place(), copy.length - 4);
      if (at >= 0) copy.writeUInt32LE(HOSTILE[below(HOSTILE.length)]!, at);
      return copy;
    }
    case 3: {
      // A digit of a JSON header or a configuration.
      const digits = [...copy.subarray(0, 3000).entries()].filter(([, byte]) => byte >= 0x30 && byte <= 0x39);
      const [at] = digits[below(digits.length)] ?? [0];
      copy[at] = 0x30 + below(10);
      return copy;
    }
    case 4: {
      const from = others[below(others.length)]!;
      const start = below(from.length);
      return Buffer.concat([copy.subarray(0, place()), from.subarray(start, start + below(400)), copy.subarray(place())]);
    }
    case 5: {
      const [a, b] = [place(), place()].sort((x, y) => x - y) as [number, number];
      return Buffer.concat([copy.subarray(0, a), copy.subarray(b)]);
    }
    default:
      for (let i = 0; i <= below(8); i++) copy[place()] = below(256);
      return copy;
  }
}

export interface FuzzOptions {
  readonly seed: number;
  /** Told the number of cases that are done; false ends it. */
  readonly until: (cases: number) => boolean;
}

/**
 * @param fixtures a folder, whose folders without a dot in their names are damaged, one file at a time; not their expected.safetensors
 * @param open is given a file that was damaged, or the folder of one that ends in .json
 * @throws Error for what is neither opened nor refused, with what it takes to see it again
 */
export async function fuzz(fixtures: string, open: (path: string) => Promise<void>, { seed, until }: FuzzOptions): Promise<FuzzReport> {
  const folder = await mkdtemp(join(tmpdir(), "fuzz-"));
  const outcomes: Record<string, number> = {};
  let [cases, memory, slowest] = [0, 0, 0];
  try {
    const files: { name: string; file: string; bytes: Buffer }[] = [];
    for (const name of (await readdir(fixtures)).filter((name) => !name.includes("."))) {
      await cp(join(fixtures, name), join(folder, name), { recursive: true });
      await rm(join(folder, name, "expected.safetensors"), { force: true });
      for (const file of await readdir(join(folder, name))) files.push({ name, file, bytes: await readFile(join(folder, name, file)) });
    }
    const contents = files.map(({ bytes }) => bytes);
    for (; until(cases); cases++) {
      const random = seededRandom(seed + cases);
      const { name, file, bytes } = files[Math.floor(random() * files.length)]!;
      const path = join(folder, name, file);
      const isOdd = file.endsWith(".json") && random() < 0.5;
      await writeFile(path, isOdd ? JSON.stringify(odd(JSON.parse(bytes.toString()), random)) : damaged(bytes, random, contents));
      const begin = process.cpuUsage();
      const outcome = await open(file.endsWith(".json") ? join(folder, name) : path).then(
        () => "opened",
        (error: unknown) => {
          if (error instanceof MonoscopeError) return error.code;
          throw new Error(`case ${seed + cases}: ${name}/${file} ends in ${error}`, { cause: error });
        },
      );
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      const { user, system } = process.cpuUsage(begin);
      slowest = Math.max(slowest, (user + system) / 1e6);
      memory = Math.max(memory, process.memoryUsage.rss() / 2 ** 20);
      await writeFile(path, bytes);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return { cases, outcomes, memory, slowest };
}
