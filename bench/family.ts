/**
 * @file What training costs on top of harvesting: `npm run bench:family -- [--features 4096,16384,65536] [--json]`. The same contexts are harvested alone, and harvested
 * and trained on, taking turns; the ratio of the two times is taken round by round.
 */
import { Command } from "commander";
import { harvest } from "../src/activations/harvest.ts";
import { inputStatistics } from "../src/activations/stream.ts";
import { sizes, threadsOption, wholeNumber } from "../src/cli/options.ts";
import { count } from "../src/cli/terminal.ts";
import { tokenizeCorpus } from "../src/corpus/tokenize.ts";
import { ArgumentError } from "../src/errors.ts";
import { DEFAULT_MODEL } from "../src/model/find.ts";
import { LanguageModel } from "../src/model/language-model.ts";
import { normal, permutation, seededRandom } from "../src/random.ts";
import { architectureOf, initialise } from "../src/sae/architectures/architecture.ts";
import { createEngine } from "../src/sae/kernels/index.ts";
import { recipe } from "../src/sae/recipe.ts";
import { type Matrix, takeRows } from "../src/tensor/matrix.ts";
import { runCommand } from "./command.ts";
import { machine, median } from "./machine.ts";

interface Options {
  features: number[];
  k: number;
  batch: number;
  tokens: number;
  rounds: number;
  model: string;
  threads: number;
  json: boolean;
}

const CONTEXT = 256;

const program = new Command("bench:family")
  .description(
    "Times harvesting alone beside harvesting and training a family of TopK autoencoders. The figures mean something on an idle machine only.",
  )
  .option("--features <sizes>", "the family: numbers of features, separated by commas", sizes, [4096, 16384, 65536])
  .option("--k <n>", "active features per token", wholeNumber(), 32)
  .option("--batch <n>", "tokens per step", wholeNumber(), 4096)
  .option("--tokens <n>", "tokens that are harvested, or harvested and trained on, in a turn", wholeNumber(), 16384)
  .option("--rounds <n>", "times that both are measured, after one round to warm up", wholeNumber(), 5)
  .option("--model <id or path>", "language model: a name or a GGUF file", DEFAULT_MODEL)
  .addOption(threadsOption())
  .option("--json", "print one JSON line on standard output and nothing else", false)
  .action(async ({ features, k, batch, tokens, rounds, model: id, threads, json }: Options) => {
    const model = await LanguageModel.open(id, { threads });
    const size = Math.ceil(tokens / CONTEXT);
    const { train: contexts } = await tokenizeCorpus(["sample"], model.tokenizer, {
      startToken: model.tokenizer.startOfContext,
      contextSize: CONTEXT,
      maxTokens: 2 * (rounds + 1) * size * CONTEXT,
    });
    if (contexts.size < (rounds + 1) * size)
      throw new ArgumentError(
        `${rounds} rounds of ${count(tokens)} tokens need ${(rounds + 1) * size} contexts; the sample has ${contexts.size}. Lower --rounds or --tokens.`,
      );
    // A round has its own contexts, and both of its turns the same.
    const harvested = async (round: number) =>
      (await harvest(model, contexts, { start: round * size, end: (round + 1) * size })).activations;
    const statistics = inputStatistics(await harvested(0));
    const members = features.map((dSae, i) => {
      const spec = recipe({ architecture: "topk", dSae, k });
      const architecture = architectureOf(spec);
      const engine = createEngine({ dIn: model.config.dIn, dSae, ...architecture.encoder, threads });
      const random = seededRandom(0, 3, i);
      initialise(engine, architecture, statistics, () => normal(random));
      return { spec, architecture, engine };
    });
    let step = 0;
    const trainOn = async (x: Matrix, round: number) => {
      for (let i = 0; i < x.data.length; i++) x.data[i]! *= statistics.scale;
      const order = permutation(x.rows, seededRandom(0, 2, round));
      const batches = Math.max(1, Math.round(x.rows / batch));
      const edge = (b: number) => Math.round((b * x.rows) / batches);
      for (let b = 0; b < batches; b++) {
        const rows = takeRows(x, order.subarray(edge(b), edge(b + 1)));
        step++;
        for (const { spec, architecture, engine } of members) {
          const { learningRate, beta1, beta2, epsilon, maxGradientNorm } = spec;
          const loss = architecture.loss(0.5, rows.cols);
          await engine.step(rows, { step, learningRate, beta1, beta2, epsilon, maxGradientNorm, deadAfter: 10_000_000, ...loss });
        }
      }
    };

    const alone: number[] = [];
    const together: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const turns = [async () => void (await harvested(round)), async () => trainOn(await harvested(round), round)] as const;
      const seconds = [0, 0];
      // Each goes first in every other round.
      for (const turn of round % 2 === 0 ? [0, 1] : [1, 0]) {
        const start = performance.now();
        await turns[turn]!();
        seconds[turn] = (performance.now() - start) / 1000;
      }
      if (round === 0) continue;
      alone.push(seconds[0]!);
      together.push(seconds[1]!);
      if (!json)
        console.log(
          `round ${round}: alone ${seconds[0]!.toFixed(2)} s, with training ${seconds[1]!.toFixed(2)} s, ratio ${(seconds[1]! / seconds[0]!).toFixed(3)}`,
        );
    }
    await model.close();
    const perTurn = size * CONTEXT;
    const result = {
      features,
      k,
      batch,
      threads,
      backend: members[0]!.engine.backend,
      harvestTokensPerSecond: Math.round(perTurn / median(alone)),
      tokensPerSecond: Math.round(perTurn / median(together)),
      ratio: median(together.map((seconds, i) => seconds / alone[i]!)),
      peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
      machine: machine(),
    };
    if (json) console.log(JSON.stringify(result));
    else
      console.log(
        `harvesting ${count(result.harvestTokensPerSecond)} tokens/s alone, ${count(result.tokensPerSecond)} with training ${features.map(count).join(" + ")} features: ${result.ratio.toFixed(3)} × the time; peak memory ${count(result.peakRssMb)} MiB`,
      );
  });

await runCommand(program);
