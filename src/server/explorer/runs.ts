/** @file Training runs as their logs tell of them, while they go on and after. */
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createRoute, z } from "@hono/zod-openapi";
import { etag } from "hono/etag";
import { exists } from "../../files.ts";
import { Problem } from "../problem.ts";
import { distinctNames, type ExplorerContext } from "./context.ts";
import { answer, id, router } from "./router.ts";
import { runs, training, trainingPoint } from "./schemas.ts";

type Point = z.infer<typeof trainingPoint>;

const LOG = "log.jsonl";
const FINISHED = "finished.json";
const PART_BYTES = 1 << 20;
// A curve is some hundred pixels wide: of a longer log every second point is kept, then every fourth, and so on.
const MOST_POINTS = 4096;

const runsRoute = createRoute({
  method: "get",
  path: "/api/runs",
  summary: "Training runs",
  middleware: [etag()] as const,
  responses: answer(runs, "The runs, the one that changed last first"),
});

const runRoute = createRoute({
  method: "get",
  path: "/api/runs/{id}",
  summary: "How a run went so far",
  middleware: [etag()] as const,
  request: {
    params: z.object({ id }),
    query: z.strictObject({
      /** Only points of later steps. */
      after: z
        .string()
        .regex(/^\d{1,15}$/, "expected a step")
        .transform(Number)
        .optional()
        .openapi({ type: "integer", minimum: 0 }),
    }),
  },
  responses: answer(training, "Points of the curves, in order"),
});

export function runRoutes(context: ExplorerContext) {
  const logs = new Map<string, RunLog>();
  /** The runs that there are now, by id. */
  const found = async (): Promise<Map<string, RunLog>> => {
    const folders = await runFolders(context.runs);
    const ids = distinctNames(folders);
    return new Map(
      folders.map((folder, i) => {
        if (!logs.has(folder)) logs.set(folder, new RunLog(folder));
        return [ids[i]!, logs.get(folder)!];
      }),
    );
  };
  return router()
    .openapi(runsRoute, async (c) => {
      const states = await Promise.all([...(await found())].map(async ([id, log]) => ({ id, ...(await log.read()) })));
      return c.json(
        {
          runs: states
            .sort((a, b) => b.changed - a.changed)
            .map(({ id, finished, changed, points }) => ({ id, finished, changed, ...(points.length > 0 && { latest: points.at(-1)! }) })),
        },
        200,
      );
    })
    .openapi(runRoute, async (c) => {
      const { id } = c.req.valid("param");
      const { after = -1 } = c.req.valid("query");
      const log = (await found()).get(id);
      if (log === undefined) throw new Problem(404, `there is no run ${JSON.stringify(id)}`, { param: "id", code: "run_not_found" });
      const { finished, points } = await log.read();
      return c.json({ id, finished, points: points.filter(({ step }) => step > after) }, 200);
    });
}

/** Folders with a log: those that were named, and those right under them. */
async function runFolders(named: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of named) {
    const inside = await readdir(folder, { withFileTypes: true }).catch(() => []);
    const candidates = [folder, ...inside.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name))];
    for (const candidate of candidates) if (await exists(join(candidate, LOG))) found.push(candidate);
  }
  return [...new Set(found)];
}

/** A run's log, of which each reading takes up only what is new. */
class RunLog {
  readonly #folder: string;
  #points: Point[] = [];
  #stride = 1;
  #lines = 0;
  /** Bytes that were read, up to the end of a line; and the file that they were of. */
  #offset = 0;
  #file = 0;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The points so far, and milliseconds since 1970 of the last change. */
  read(): Promise<{ finished: boolean; changed: number; points: readonly Point[] }> {
    const done = this.#reading.then(() => this.#read());
    this.#reading = done.catch(() => {});
    return done;
  }

  async #read() {
    const path = join(this.#folder, LOG);
    const finished = await exists(join(this.#folder, FINISHED));
    const { size, ino, mtimeMs } = await stat(path);
    // A run that is resumed writes its log anew, without what came after its checkpoint.
    if (ino !== this.#file || size < this.#offset) {
      this.#points = [];
      [this.#stride, this.#lines, this.#offset, this.#file] = [1, 0, 0, ino];
    }
    if (size > this.#offset) await this.#readOn(path);
    return { finished, changed: mtimeMs, points: this.#points };
  }

  async #readOn(path: string): Promise<void> {
    const file = await open(path);
    try {
      let rest = Buffer.alloc(0);
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(PART_BYTES), 0, PART_BYTES, this.#offset + rest.length);
        if (bytesRead === 0) return;
        const part = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        const end = part.lastIndexOf("\n") + 1; // the last line may be half-written
        for (const line of part.toString("utf8", 0, end).split("\n")) this.#add(line);
        this.#offset += end;
        rest = part.subarray(end);
        if (rest.length > PART_BYTES) return; // no log has such lines
      }
    } finally {
      await file.close();
    }
  }

  #add(line: string): void {
    const point = trainingPoint.safeParse(parsed(line));
    if (!point.success) return;
    // The last point is always there: one that was to be passed over goes when the next comes.
    if ((this.#lines - 1) % this.#stride !== 0) this.#points.pop();
    this.#points.push(point.data);
    this.#lines++;
    if (this.#points.length <= MOST_POINTS) return;
    this.#stride *= 2;
    this.#points = this.#points.filter((_, i) => i % 2 === 0 || i === this.#points.length - 1);
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
