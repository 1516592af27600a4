/** @file Opens damaged autoencoders of every format for some minutes: `npx tsx bench/fuzz-formats.ts [minutes] [seed]`. Ends with an error at the first that is neither opened nor refused. */
import { fuzzFormats } from "../src/sae/formats/fuzz.fixture.ts";

const [minutes = 10, seed = 1] = process.argv.slice(2).map(Number);
const end = performance.now() + minutes * 60_000;
console.log(JSON.stringify({ minutes, seed, ...(await fuzzFormats({ seed, until: () => performance.now() < end })) }));
