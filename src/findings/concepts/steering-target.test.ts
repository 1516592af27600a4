/** @file On the tiny random model, with an autoencoder whose features are the positive coordinates of the residual stream. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { LanguageModel } from "../../model/language-model.ts";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { createEngine } from "../../sae/kernels/index.ts";
import { textPeaks } from "../text-peaks.ts";
import type { ConceptSet, LabelledText } from "./concept-set.ts";
import { targetsOf } from "./steering-target.ts";
import { rankFeatures } from "./telling.ts";

const WORDS = ["bridge", "river", "cable", "tower", "song", "bread", "night", "glass"];

/** A word's texts against the others', in both halves. */
function conceptSet(name: string, family: string): ConceptSet {
  const texts = (["choose", "test"] as const).flatMap((half) =>
    WORDS.flatMap((word, w) =>
      ["an old", "the new"].map((start): LabelledText => {
        const kind = word === name ? {} : { kind: w % 2 ? ("hard" as const) : ("plain" as const) };
        const text = `${start} ${word} ${half === "test" ? "at sea" : ""}`;
        return { concept: name, label: word === name ? 1 : 0, half, text, source: "written", group: word, ...kind };
      }),
    ),
  );
  return { name, family, about: name, licence: "", source: "", texts };
}

test("a concept's vector and its candidates come from the half of its texts that chooses: those that tell it best, then those nearest the vector", async () => {
  const model = await LanguageModel.open(fileURLToPath(new URL("../../model/fixtures/llama.gguf", import.meta.url)), { threads: 1 });
  const n = model.config.dIn;
  const diagonal = (scale: (i: number) => number) =>
    Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? scale(Math.floor(i / n)) : 0));
  const engine = createEngine({ dIn: n, dSae: n, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  engine.write(
    "wEnc",
    diagonal(() => 1),
  );
  // A direction's length says nothing of how near it is.
  engine.write(
    "wDec",
    diagonal((i) => 1 + i),
  );
  const sae = new SparseAutoencoder(engine, {});
  const sets = [conceptSet("bridge", "places"), conceptSet("song", "arts"), conceptSet("tower", "places")];
  const targets = await targetsOf({ name: "identity", model, sae }, sets);
  expect(targets.map(({ set }) => set.name)).toEqual(["bridge", "song", "tower"]);

  for (const [i, set] of sets.entries()) {
    const chosen = set.texts.filter(({ half }) => half === "choose");
    const peaks = await textPeaks(
      model,
      [sae],
      chosen.map(({ text }) => text),
    );
    const ranked = rankFeatures(chosen, [...chosen.keys()], peaks.features[0]!);
    const { features, difference, told } = targets[i]!;
    expect(told).toBe(ranked[0]!.score);
    expect(ranked.map(({ score }) => score)).toEqual(ranked.map(({ score }) => score).toSorted((a, b) => b - a));
    const mean = (label: number, c: number) => {
      const values = chosen.flatMap((text, t) => (text.label === label ? [peaks.residual.data[t * n + c]!] : []));
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    for (let c = 0; c < n; c++) expect(difference[c]).toBeCloseTo(mean(1, c) - mean(0, c), 4);
    const order = ranked.map(({ feature }) => feature);
    expect(features.slice(0, 3)).toEqual(order.slice(0, 3));
    const others = order.slice(3, 60).sort((a, b) => difference[b]! - difference[a]!);
    expect(features.slice(3)).toEqual(others.slice(0, 4));
  }

  // Nothing of the half that tests goes in.
  const untested = sets.map((set) => ({ ...set, texts: set.texts.filter(({ half }) => half === "choose") }));
  const again = await targetsOf({ name: "identity", model, sae }, untested);
  expect(again.map(({ set: _, ...target }) => target)).toEqual(targets.map(({ set: _, ...target }) => target));
  await model.close();
});
