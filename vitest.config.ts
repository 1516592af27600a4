import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["test/fetch-model.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two native thread pools (onnxruntime, kernels) already fill the machine: more workers only add memory.
    pool: "forks",
    maxWorkers: 2,
  },
});
