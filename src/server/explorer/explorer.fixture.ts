/** @file A small explorer for tests: the real model, three autoencoders (two with catalogues, every part of one filled), a run, and the folders of all. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { entry, provenance, tokenizer } from "../../features/catalog.fixture.ts";
import { Catalog, CatalogWriter } from "../../features/catalog.ts";
import { saveCompleteness } from "../../features/completeness/saved.ts";
import { LanguageModel } from "../../model/language-model.ts";
import { normal, seededRandom } from "../../random.ts";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { type Evaluation, saveEvaluation } from "../../sae/evaluation.ts";
import { createEngine } from "../../sae/kernels/index.ts";
import { ExplorerContext, openAutoencoders } from "./context.ts";

export const EVALUATION: Evaluation = {
  ...{ tokens: 4096, sinks: 17, l0: 4, mse: 90.5, fvu: 0.25, explainedVariance: 0.75, cosine: 0.875, normRatio: 0.9375 },
  crossEntropy: { clean: 3, spliced: 3.25, zero: 11, mean: 9 },
  lossRecovered: { zero: 0.96875, mean: 0.9583 },
  ...{ kl: 0.25, dead: 0.5, density: { edges: [-1, 0], counts: [4] } },
};

/** A line of a run's log. */
export const point = (step: number) => ({
  ...{ step, tokens: 2048 * step, progress: step / 8, tokensPerSecond: 1000, secondsLeft: 8 - step },
  members: { "topk-8": { loss: 100 - step, fvu: 0.5, l0: 4, dead: 0, gradientNorm: 1, learningRate: 0.001 } },
});

export const CHARACTER = { name: "The third", about: "holds the third feature", clamps: [{ feature: 3, share: 0.35 }] };

/** An autoencoder that reads and writes the same random directions of the model's residual. */
async function writeAutoencoder(folder: string, { hook, config, id }: LanguageModel, dSae: number): Promise<SparseAutoencoder> {
  const random = seededRandom(5);
  const { dIn } = config;
  const rows = Float32Array.from({ length: dSae * dIn }, () => normal(random) / Math.sqrt(dIn));
  const engine = createEngine({ dIn, dSae, activation: { kind: "topk", k: 4 }, applyBDecToInput: true, threads: 2 });
  engine.write("wEnc", rows);
  engine.write("wDec", rows);
  const sae = new SparseAutoencoder(engine, { model_name: id, hook_name: hook });
  await sae.save(folder);
  return sae;
}

/** Writes the catalogue of made-up features. */
async function writeCatalog(folder: string, sae: SparseAutoencoder): Promise<Catalog> {
  const writer = await CatalogWriter.open(join(folder, "catalog"), { sae, provenance, tokenizer });
  while (writer.next < sae.dSae) await writer.add(entry(writer.next));
  await writer.finish();
  return Catalog.open(join(folder, "catalog"), sae);
}

export async function openFixture() {
  const root = await mkdtemp(join(tmpdir(), "explorer-"));
  const model = await LanguageModel.open();
  const folder = (name: string) => join(root, "saes", name);
  const small = await writeAutoencoder(folder("small"), model, 12);
  const large = await writeAutoencoder(folder("large"), model, 20);
  await writeAutoencoder(folder("bare"), model, 8);

  const catalog = await writeCatalog(folder("small"), small);
  const effects = [{ token: 3, effect: 1.5 }];
  await catalog.update(
    [0, 1, 2, 3].map((feature) => ({
      feature,
      map: [feature, -feature],
      causal: { share: 0.35, contexts: 9, raised: effects, lowered: effects, divergence: 0.5 },
      steering: { share: 0.35, towards: 0.5, fluency: 1, text: "a bridge" },
      neuron: { neuron: 7, correlation: 0.5 },
      description: { text: `feature ${feature} of bridges`, by: "automatic", scores: { vocabulary: 0.5, specificity: [1, 2, 3] } },
    })),
  );
  await catalog.update([{ feature: 5, map: [2.5, -2.5] }]); // described by nobody
  const related = { feature: 3, other: 3, cosine: 1 };
  await catalog.relate(large.fingerprint(), [{ ...related, coactivation: 0.75 }]);
  catalog.close();
  const ofLarge = await writeCatalog(folder("large"), large);
  await ofLarge.relate(small.fingerprint(), [{ ...related, coactivation: 0.5 }]);
  ofLarge.close();
  await saveEvaluation(folder("large"), EVALUATION);
  await saveCompleteness(folder("small"), {
    ...{ list: "animals", documents: 3, words: 1e6, dSae: 12 },
    results: [
      {
        concept: "cat",
        occurrences: 90,
        frequency: 2,
        feature: 3,
        dedicated: true,
        recall: 1,
        precision: 1,
        falseShare: 0,
        elsewhere: 0,
        auroc: 1,
      },
      {
        concept: "dog",
        occurrences: 9,
        frequency: 1,
        feature: 4,
        dedicated: false,
        recall: 0.5,
        precision: 0.5,
        falseShare: 0.1,
        elsewhere: 0,
        auroc: 0.9,
      },
    ],
    curve: { intercept: -3, slope: 2, slopeError: 0.5 },
  });
  await writeFile(join(folder("small"), "characters.json"), JSON.stringify([CHARACTER]));
  await mkdir(join(root, "runs", "going-on"), { recursive: true });
  const log = [1, 2, 3].map((step) => `${JSON.stringify(point(step))}\n`).join("");
  await writeFile(join(root, "runs", "going-on", "log.jsonl"), `${log}{"step":4,"tok`);

  const context = new ExplorerContext({
    model,
    autoencoders: await openAutoencoders(["small", "large", "bare"].map(folder)),
    runs: [join(root, "runs")],
    characters: join(root, "characters"),
  });
  return {
    root,
    context,
    async close() {
      context.close();
      await model.close();
      await rm(root, { recursive: true });
    },
  };
}
