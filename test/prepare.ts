/** @file Before any test: the default model is in the cache, so that no test waits for a download, and the command is built. */
import { DEFAULT_MODEL, findModel } from "../src/model/find.ts";
import { buildCommand } from "./command.ts";

export default async function prepare(): Promise<void> {
  buildCommand();
  await findModel(DEFAULT_MODEL);
}
