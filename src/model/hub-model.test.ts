/** @file Models by their id on the hub, against a server that speaks its protocol and fails in all its ways. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { CancelledError, ChecksumError, NetworkError, NotFoundError, UnsupportedError } from "../errors.ts";
import { findModel } from "./find.ts";
import { COMMIT, type FakeHub, type HubContent, type HubFailures, hubForEachTest } from "./hub.fixture.ts";

const PYTHIA = "EleutherAI/pythia-70m";

const fake = hubForEachTest();
const hub = (files: Record<string, HubContent>, failures?: HubFailures) => fake.start(PYTHIA, files, failures);

const WEIGHTS = Buffer.from("weights ".repeat(20_000)); // 160 kB
const small = (text: string): HubContent => ({ content: Buffer.from(text), small: true });

/** A repository as they are: the same weights several times, and much beside them. */
function repository(): Record<string, HubContent> {
  return {
    ".gitattributes": small("*"),
    "README.md": small("about"),
    "config.json": small('{"model_type":"gpt_neox"}'),
    "generation_config.json": small("{}"),
    "tokenizer.json": small('{"model":{}}'),
    "tokenizer_config.json": small("{}"),
    "special_tokens_map.json": small("{}"),
    "merges.txt": small("a b"),
    "model.safetensors": { content: WEIGHTS },
    "pytorch_model.bin": { content: Buffer.from("the same once more") },
    "onnx/model.onnx": { content: Buffer.from("and again") },
  };
}

const fetched = ({ requests }: FakeHub) => new Set(requests.flatMap(({ url }) => /\/resolve\/[^/]+\/([^?]*)/.exec(url)?.[1] ?? []));
const failure = (model: string) =>
  findModel(model).then(
    () => undefined,
    (error: unknown) => error as Error,
  );

describe("a model by its id", () => {
  it("is fetched once, without what opening does not take, and found when there is no network", async () => {
    const first = await hub(repository());
    const progress: number[] = [];
    const path = await findModel(PYTHIA, { onProgress: ({ bytes, total }) => progress.push(bytes / total) });
    expect(path).toBe(join(fake.folder, "hub", "models--EleutherAI--pythia-70m", "snapshots", COMMIT));
    const wanted = [
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ];
    expect((await readdir(path)).sort()).toEqual(wanted);
    expect([...fetched(first)].sort()).toEqual(wanted);
    expect(await readFile(join(path, "model.safetensors"))).toEqual(WEIGHTS);
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    const second = await hub(repository());
    expect(await findModel(PYTHIA)).toBe(path);
    expect(fetched(second).size).toBe(0);
    second.close();
    expect(await findModel(PYTHIA)).toBe(path);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await findModel(PYTHIA)).toBe(path);
    expect(await findModel(`${PYTHIA}@${COMMIT}`)).toBe(path);
  });

  it("of a commit is asked for by that, and of another revision by its name", async () => {
    const { requests } = await hub(repository());
    await findModel(`${PYTHIA}@${COMMIT}`);
    expect(requests.filter(({ url }) => url.includes("/revision/"))).toEqual([]);
    expect(await failure(`${PYTHIA}@step1000`)).toBeInstanceOf(NotFoundError);
  });

  it("may be in several files, which all are fetched, with their index", async () => {
    const { "model.safetensors": _, ...others } = repository();
    const shards = {
      "model-00001-of-00002.safetensors": { content: Buffer.from("one") },
      "model-00002-of-00002.safetensors": { content: Buffer.from("two") },
    };
    await hub({ ...others, ...shards, "model.safetensors.index.json": small("{}") });
    const names = await readdir(await findModel(PYTHIA));
    expect(names.filter((name) => name.startsWith("model"))).toEqual([...Object.keys(shards), "model.safetensors.index.json"]);
  });

  it("may be one GGUF file: the only one, or the one that is named", async () => {
    const files = {
      "README.md": small("about"),
      "a.Q4_K_M.gguf": { content: Buffer.from("four bits") },
      "a.Q8_0.gguf": { content: Buffer.from("eight bits") },
    };
    const first = await hub(files);
    const path = await findModel(`${PYTHIA}/a.Q8_0.gguf`);
    expect(await readFile(path, "utf8")).toBe("eight bits");
    expect([...fetched(first)]).toEqual(["a.Q8_0.gguf"]);
    const several = await failure(PYTHIA);
    expect(several).toBeInstanceOf(UnsupportedError);
    expect(several!.message).toContain(`Name one: ${PYTHIA}/a.Q4_K_M.gguf, ${PYTHIA}/a.Q8_0.gguf`);
    const { "a.Q8_0.gguf": __, ...one } = files;
    await hub({ ...one, "config.json": small("{}") });
    const only = await findModel(PYTHIA);
    expect(await readFile(only, "utf8")).toBe("four bits");
    await writeFile(join(only, "..", "config.json"), "{}"); // of another program that shares the cache
    expect(await findModel(PYTHIA)).toBe(only);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await rm(path);
    expect(await findModel(PYTHIA)).toBe(only);
  });

  it("is refused where there are other weights only, or none", async () => {
    const { "model.safetensors": _, "pytorch_model.bin": bin, ...others } = repository();
    await hub({ ...others, "pytorch_model.bin": bin! });
    expect(await failure(PYTHIA)).toBeInstanceOf(UnsupportedError);
    expect((await failure(PYTHIA))!.message).toContain("has weights as pytorch_model.bin only");
    await hub(others);
    expect((await failure(PYTHIA))!.message).toContain("holds nothing that can be opened: .gitattributes, README.md");
    expect((await failure(`${PYTHIA}/pytorch_model.bin`))!.message).toContain("is no .gguf file");
  });
});

describe("what goes wrong on the way", () => {
  it("broken connections are taken up where they broke", async () => {
    const { requests } = await hub({ ...repository() }, { cut: [10, 5, 70_000, 30_000] });
    const path = await findModel(PYTHIA);
    expect(await readFile(join(path, "model.safetensors"))).toEqual(WEIGHTS);
    expect(requests.some(({ range }) => /^bytes=[1-9]/.test(range ?? ""))).toBe(true);
  });

  it("one that breaks again and again ends the run; the next one goes on", async () => {
    await hub({ "a.gguf": { content: WEIGHTS } }, { cut: [1000, 1000, 1000, 1000] });
    const error = await failure(PYTHIA);
    expect(error).toBeInstanceOf(NetworkError);
    const blobs = join(fake.folder, "hub", "models--EleutherAI--pythia-70m", "blobs");
    expect((await readdir(blobs)).every((name) => name.endsWith(".incomplete"))).toBe(true);
    const { requests } = await hub({ "a.gguf": { content: WEIGHTS } });
    expect(await readFile(await findModel(PYTHIA))).toEqual(WEIGHTS);
    expect(requests.some(({ range }) => range?.startsWith("bytes=4000-"))).toBe(true);
  });

  it("damage is noticed, and nothing of it is kept", async () => {
    await hub(repository(), { damage: true });
    expect(await failure(PYTHIA)).toBeInstanceOf(ChecksumError);
    const cache = join(fake.folder, "hub", "models--EleutherAI--pythia-70m");
    expect(await readdir(join(cache, "blobs"))).toEqual([]);
    expect(await readdir(cache)).toEqual(["blobs"]);
  });

  it.each([429, 500, 503])("a hub that answers %d is asked again", async (status) => {
    await hub(repository(), { statuses: [status, status] });
    await findModel(PYTHIA);
  });

  it.each([
    [401, NetworkError, "accept its terms at https://huggingface.co/EleutherAI/pythia-70m, and set HF_TOKEN"],
    [403, NetworkError, "does not give EleutherAI/pythia-70m@main to everybody"],
    [404, NotFoundError, "there is no EleutherAI/pythia-70m@main on the hub"],
    [429, NetworkError, "too many requests from here (429)"],
    [500, NetworkError, "out of order (500)"],
  ])("%d is said in words", async (status, kind, message) => {
    await hub(repository(), { status });
    const error = await failure(PYTHIA);
    expect(error).toBeInstanceOf(kind);
    expect(error!.message).toContain(message);
  });

  it("without a network, or told to stay offline, it says what is missing", async () => {
    expect((await failure(PYTHIA))!.message).toMatch(/cannot get EleutherAI\/pythia-70m@main from the hub.*has nothing of it/);
    const { "model.safetensors": _, ...others } = repository();
    await hub({ ...others, "a.gguf": { content: WEIGHTS } });
    await findModel(PYTHIA);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect((await failure(`${PYTHIA}@v2`))!.message).toMatch(/HF_HUB_OFFLINE is set; the cache .* has nothing of it/);
    expect(await failure(`${PYTHIA}/b.gguf`)).toBeInstanceOf(NetworkError);
  });

  it("is stopped at once, in the middle of a file", async () => {
    await hub({ "a.gguf": { content: WEIGHTS } }, { stall: true });
    const controller = new AbortController();
    const stopped = findModel(PYTHIA, { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(stopped).rejects.toThrow(CancelledError);
    const { requests } = await hub({ "a.gguf": { content: WEIGHTS } });
    await findModel(PYTHIA);
    expect(requests.some(({ range }) => range?.startsWith("bytes=80000-"))).toBe(true); // what had arrived was kept
  });

  it("takes a path in a folder that is here for a path", async () => {
    await expect(findModel("src/nowhere.gguf")).rejects.toThrow(/no file src\/nowhere\.gguf/);
  });
});
