/**
 * @file Opens damaged files for some minutes: `npx tsx bench/fuzz-formats.ts [minutes] [seed] [autoencoders | models]`. Ends with an error at the first that is neither
 * opened nor refused.
 */
import { fuzzModels } from "../src/model/fuzz.fixture.ts";
import { fuzzFormats } from "../src/sae/formats/fuzz.fixture.ts";

const [minutes = 10, seed = 1] = process.argv.slice(2, 4).map(Number);
const what = process.argv[4] ?? "autoencoders";
const end = performance.now() + minutes * 60_000;
const fuzz = what === "models" ? fuzzModels : fuzzFormats;
console.log(JSON.stringify({ what, minutes, seed, ...(await fuzz({ seed, until: () => performance.now() < end })) }));
