import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["test/fetch-model.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // One file at a time: onnxruntime and the kernels each use all cores, and two of them at once wait for each other more than they work.
    pool: "forks",
    fileParallelism: false,
  },
});
