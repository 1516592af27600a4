/** @file Before any test: makes sure that the default model is in the cache, so that no test waits for a download. */
import { DEFAULT_MODEL, findModel } from "../src/model/find.ts";

export default async function fetchDefaultModel(): Promise<void> {
  await findModel(DEFAULT_MODEL);
}
