/** @file A member of a family to be packed, for tests. */
import { join } from "node:path";
import { normal, seededRandom } from "../../random.ts";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { createEngine } from "../../sae/kernels/index.ts";
import { entry, provenance, tokenizer, vocabularySize } from "../catalog.fixture.ts";
import { type CatalogEntry, CatalogWriter } from "../catalog.ts";
import type { Example } from "../feature.ts";

/** A document says the same whoever quotes it. */
function quoted(example: Example): Example {
  const at = (position: number) => (position * 7 + example.document.length) % vocabularySize;
  return { ...example, tokens: example.tokens.map((_, i) => at(example.offset + i)) };
}

function written(i: number): CatalogEntry {
  const { top, intervals, ...rest } = entry(i);
  return { ...rest, top: top.map(quoted), intervals: intervals.map((each) => ({ ...each, examples: each.examples.map(quoted) })) };
}

/** Writes a small autoencoder and its catalogue. */
export async function writeMember(folder: string, dSae: number, model = provenance.model): Promise<SparseAutoencoder> {
  const random = seededRandom(dSae);
  const engine = createEngine({ dIn: 16, dSae, activation: { kind: "topk", k: 4 }, applyBDecToInput: true, threads: 1 });
  for (const tensor of ["wEnc", "wDec"] as const)
    engine.write(
      tensor,
      Float32Array.from({ length: engine.size(tensor) }, () => normal(random)),
    );
  const sae = new SparseAutoencoder(engine, {});
  await sae.save(folder);
  const writer = await CatalogWriter.open(join(folder, "catalog"), { sae, provenance: { ...provenance, model }, tokenizer });
  while (writer.next < dSae) await writer.add(written(writer.next));
  await writer.finish();
  return sae;
}
