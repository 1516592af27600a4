/**
 * @file Opens damaged files for some minutes: `npx tsx bench/fuzz-formats.ts [minutes] [seed] [autoencoders | models | tokenizers | texts]`. Ends with an error at the first that
 * is neither opened nor refused.
 */
import { fuzzTexts } from "../src/corpus/fuzz.fixture.ts";
import { fuzzModels, fuzzTokenizers } from "../src/model/fuzz.fixture.ts";
import { fuzzFormats } from "../src/sae/formats/fuzz.fixture.ts";

const KINDS = { autoencoders: fuzzFormats, models: fuzzModels, tokenizers: fuzzTokenizers, texts: fuzzTexts };

const [minutes = 10, seed = 1] = process.argv.slice(2, 4).map(Number);
const what = (process.argv[4] ?? "autoencoders") as keyof typeof KINDS;
const end = performance.now() + minutes * 60_000;
console.log(JSON.stringify({ what, minutes, seed, ...(await KINDS[what]({ seed, until: () => performance.now() < end })) }));
