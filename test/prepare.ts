/** @file Before any test: the default model is in the cache, so that no test waits for a download. */
import { DEFAULT_MODEL, findModel } from "../src/model/find.ts";

export default async function prepare(): Promise<void> {
  await findModel(DEFAULT_MODEL);
}
