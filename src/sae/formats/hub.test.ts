/** @file Autoencoders by their id on the hub: against a server that speaks its protocol, with files that the libraries saved. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { CancelledError, ChecksumError, NetworkError, NotFoundError, UnsupportedError } from "../../errors.ts";
import { COMMIT, type HubContent, hubForEachTest } from "../../model/hub.fixture.ts";
import { parseHubPlace } from "../../model/hub.ts";
import { toDense } from "../../tensor/sparse-features.ts";
import { SparseAutoencoder } from "../autoencoder.ts";
import { difference, expected, FIXTURES } from "./expected.fixture.ts";
import { placeOfRelease } from "./releases.ts";

const SCOPE = "google/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71";

const hub = hubForEachTest();

async function gemmaScope(): Promise<Record<string, HubContent>> {
  const content = await readFile(join(FIXTURES, "gemma-scope", "params.npz"));
  return { "layer_20/width_16k/average_l0_71/params.npz": { content }, "README.md": { content: Buffer.from("about"), small: true } };
}

async function saelens(): Promise<Record<string, HubContent>> {
  const of = (name: string) => readFile(join(FIXTURES, "saelens-topk", name));
  return {
    "blocks.8.hook_resid_pre/cfg.json": { content: await of("cfg.json"), small: true },
    "blocks.8.hook_resid_pre/sae_weights.safetensors": { content: await of("sae_weights.safetensors") },
    "blocks.8.hook_resid_pre/sparsity.safetensors": { content: Buffer.from("not asked for") },
  };
}

async function agrees(sae: SparseAutoencoder, name: string): Promise<void> {
  const { x, features } = await expected(name);
  expect(difference(toDense(await sae.encode(x)).data, features.data)).toBeLessThan(1e-5);
}

describe("a place on the hub", () => {
  it.each([
    ["a/b", { repository: "a/b", revision: "main", path: "" }],
    [SCOPE, { repository: "google/gemma-scope-2b-pt-res", revision: "main", path: "layer_20/width_16k/average_l0_71" }],
    [
      "jbloom/GPT2-Small-SAEs-Reformatted@v1/blocks.8.hook_resid_pre/",
      { repository: "jbloom/GPT2-Small-SAEs-Reformatted", revision: "v1", path: "blocks.8.hook_resid_pre" },
    ],
  ])("is %s", (id, place) => expect(parseHubPlace(id)).toEqual(place));
  it.each(["a", "./a/b", "/a/b", "a/b/../c", "a\\b", "", "a//b"])("is not %s", (id) => expect(parseHubPlace(id)).toBeUndefined());
});

describe("opening by id", () => {
  it("fetches what opening takes, once, and knows the place that the path tells", async () => {
    const { requests } = await hub.start("google/gemma-scope-2b-pt-res", await gemmaScope());
    const sae = await SparseAutoencoder.open(SCOPE);
    await agrees(sae, "gemma-scope");
    expect(sae.metadata).toMatchObject({ model_name: "gemma-2-2b", hook_name: "blocks.20.hook_resid_post" });
    const fetched = requests.filter(({ url }) => url.includes("/resolve/")).length;
    await SparseAutoencoder.open(SCOPE);
    expect(requests.filter(({ url }) => url.includes("/resolve/")).length).toBe(fetched);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await agrees(await SparseAutoencoder.open(SCOPE), "gemma-scope");
  });

  it("takes a folder of several files, in the cache's usual layout, with the token", async () => {
    await writeFile(join(hub.folder, "token"), "hf_secret\n");
    const { requests } = await hub.start("jbloom/GPT2-Small-SAEs-Reformatted", await saelens());
    await agrees(await SparseAutoencoder.open("jbloom/GPT2-Small-SAEs-Reformatted/blocks.8.hook_resid_pre"), "saelens-topk");
    const cache = join(hub.folder, "hub", "models--jbloom--GPT2-Small-SAEs-Reformatted");
    expect(await readFile(join(cache, "refs", "main"), "utf8")).toBe(COMMIT);
    expect((await readdir(join(cache, "snapshots", COMMIT, "blocks.8.hook_resid_pre"))).sort()).toEqual([
      "cfg.json",
      "sae_weights.safetensors",
    ]);
    expect(new Set(requests.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer hf_secret"]));
  });

  it("knows places by the releases and ids of SAELens", async () => {
    await hub.start("jbloom/GPT2-Small-SAEs-Reformatted", await saelens());
    await agrees(await SparseAutoencoder.open("gpt2-small-res-jb/blocks.8.hook_resid_pre"), "saelens-topk");
    // Another name than the path in the repository.
    expect(await placeOfRelease("gemma-scope-2b-pt-res-canonical/layer_20/width_16k/canonical")).toBe(SCOPE);
    const unknown = await SparseAutoencoder.open("gpt2-small-res-jb/blocks.80.hook_resid_pre").catch((error: unknown) => error as Error);
    expect(unknown).toBeInstanceOf(NotFoundError);
    expect((unknown as Error).message).toMatch(
      /gpt2-small-res-jb has no blocks\.80\.hook_resid_pre. Name one of its 13: gpt2-small-res-jb\/blocks\.8\.hook_resid_pre,/,
    );
    await expect(SparseAutoencoder.open("gpt2-small-res-jb")).rejects.toThrow(/gpt2-small-res-jb has several autoencoders/);
    await expect(SparseAutoencoder.open("llama_scope_lxr_8x/l0r_8x")).rejects.toThrow(UnsupportedError);
    await expect(SparseAutoencoder.open("gpt2-small-res-xy/blocks.8.hook_resid_pre")).rejects.toThrow(
      /there is no gpt2-small-res-xy\/blocks\.8\.hook_resid_pre@main on the hub. Nor has SAELens a release gpt2-small-res-xy; it has gpt2-small-res-/,
    );
  });

  it("opens a single file", async () => {
    await hub.start("google/gemma-scope-2b-pt-res", await gemmaScope());
    await agrees(await SparseAutoencoder.open(`${SCOPE}/params.npz`), "gemma-scope");
  });

  it("goes on with a download that broke off, by itself and when it is asked again", async () => {
    const { requests } = await hub.start("google/gemma-scope-2b-pt-res", await gemmaScope(), { cut: [2000, 1000, 500, 500, 1000] });
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(NetworkError);
    await agrees(await SparseAutoencoder.open(SCOPE), "gemma-scope");
    const starts = requests.map(({ range }) => Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0));
    expect(Math.max(...starts)).toBe(5000);
  });

  it("refuses a file that arrives damaged, and does not keep it", async () => {
    await hub.start("google/gemma-scope-2b-pt-res", await gemmaScope(), { damage: true });
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(ChecksumError);
    expect(await readdir(join(hub.folder, "hub", "models--google--gemma-scope-2b-pt-res", "blobs"))).toEqual([]);
  });

  it("says what is missing, where terms are to be accepted, and that there is no network", async () => {
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(/cannot get google\/gemma-scope-2b-pt-res@main\/layer_20.* from the hub/);
    await hub.start("google/gemma-scope-2b-pt-res", await gemmaScope());
    await expect(SparseAutoencoder.open("google/gemma-scope-2b-pt-res/layer_99")).rejects.toThrow(NotFoundError);
    await expect(SparseAutoencoder.open("google/gemma-scope-2b-pt-res")).rejects.toThrow("holds nothing that can be opened: README.md");
    await expect(SparseAutoencoder.open("google/absent")).rejects.toThrow("there is no google/absent@main on the hub");
    await hub.start("google/gemma-scope-2b-pt-res", {}, { status: 403 });
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(
      "accept its terms at https://huggingface.co/google/gemma-scope-2b-pt-res, and set HF_TOKEN",
    );
    await expect(SparseAutoencoder.open(SCOPE, { signal: AbortSignal.abort() })).rejects.toThrow(CancelledError);
  });
});
