/** @file Finds the feature of a concept in the tour's autoencoder, and lets the model answer with it clamped. Run it after `npm start`: npx tsx examples/steer.ts */
import { clamp, findFeatures, LanguageModel, SparseAutoencoder } from "../src/index.ts";

const model = await LanguageModel.open();
const sae = await SparseAutoencoder.open("runs/tour/topk-4096");
const [best] = await findFeatures(model, sae, ["She cried because her friend had died.", "I feel so sad and lonely."], {
  off: ["The train leaves at noon.", "Two and two is four."],
});
if (best === undefined) throw new Error("no feature is active on these texts");
console.log(`feature ${best.feature}, contrast ${best.score.toFixed(2)}`);
const interventions = [clamp(sae, { [best.feature]: { share: 0.35 } })];
for await (const { text } of model.chat([{ role: "user", content: "How are you today?" }], { interventions, maxTokens: 60 }))
  process.stdout.write(text);
console.log();
await model.close();
