/** @file Counts the sample with a model's tokenizer and writes the tables of ../README.md: `npx tsx assets/sample/table.ts MODEL.gguf`. */
import { readFile, stat, writeFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { PACKAGES } from "./sources.mjs";

type Count = { documents: number; characters: number; tokens: number };

const sample = new URL("../sample.jsonl.gz", import.meta.url);
const tokenizer = await Tokenizer.open(process.argv[2]!);
const licences = new Map(
  PACKAGES.flatMap(({ licence, sources }) => Object.keys(sources).map((source) => [source, licence.replace(/ \(.*/, "")])),
);

const [bySource, byKind, byLanguage] = [new Map<string, Count>(), new Map<string, Count>(), new Map<string, Count>()];
const total: Count = { documents: 0, characters: 0, tokens: 0 };
for (const line of gunzipSync(await readFile(sample))
  .toString("utf8")
  .trim()
  .split("\n")) {
  const { text, kind, language, source } = JSON.parse(line) as Record<string, string>;
  const tokens = tokenizer.encode(text!).length;
  for (const count of [total, entry(bySource, source!), entry(byKind, kind!), entry(byLanguage, language!)]) {
    count.documents++;
    count.characters += text!.length;
    count.tokens += tokens;
  }
}

function entry(counts: Map<string, Count>, name: string): Count {
  const count = counts.get(name) ?? { documents: 0, characters: 0, tokens: 0 };
  counts.set(name, count);
  return count;
}

const number = (n: number) => n.toLocaleString("en");
const rows = (counts: Map<string, Count>) => [...counts].sort(([, a], [, b]) => b.tokens - a.tokens);
const row = (name: string, { documents, characters, tokens }: Count) =>
  `| ${name} | ${number(documents)} | ${number(characters)} | ${number(tokens)} |`;
const short = (counts: Map<string, Count>) =>
  rows(counts)
    .map(([name, { tokens }]) => `${name} ${number(tokens)}`)
    .join(", ");

const tables = [
  "| source | licence | documents | characters | tokens |",
  "|---|---|--:|--:|--:|",
  ...rows(bySource).map(([name, count]) => row(`${name} | ${licences.get(name) ?? "Apache-2.0"}`, count)),
  row("**all** | ", total),
  "",
  `Compressed: ${number((await stat(sample)).size)} bytes.`,
  "",
  `Tokens by kind: ${short(byKind)}.`,
  "",
  `Tokens by language: ${short(byLanguage)}.`,
].join("\n");
const readme = new URL("../README.md", import.meta.url);
const text = await readFile(readme, "utf8");
await writeFile(
  readme,
  text.replace(/(<!-- tables -->\n)[\s\S]*(\n<!-- end -->)/, (_, begin, end) => `${begin}${tables}${end}`),
);
