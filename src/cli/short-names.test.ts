import { expect, test } from "vitest";
import { shortNames } from "./short-names.ts";

test("folders are called by their last part, or by as many as tell them apart", () => {
  expect(shortNames(["runs/mine/topk-1024/", "runs/mine/topk-4096"])).toEqual(["topk-1024", "topk-4096"]);
  expect(shortNames(["runs/early/topk", "runs/late/topk", "relu"])).toEqual(["early/topk", "late/topk", "relu"]);
  expect(shortNames(["a/b", "a/b"])).toEqual(["a/b", "a/b"]);
});
