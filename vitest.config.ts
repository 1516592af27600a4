import { defineConfig } from "vitest/config";

const BROWSER = ["test/explorer.test.ts", "test/explore-command.test.ts"];

export default defineConfig({
  test: {
    globalSetup: ["test/prepare.ts"],
    pool: "forks",
    projects: [
      {
        extends: true,
        test: {
          name: "node",
          include: ["src/**/*.test.ts", "web/src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: BROWSER,
          // onnxruntime and the kernels use all cores each, but half of the time a test waits: for a process, a disk, a server.
          maxWorkers: 2,
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        // A page waits for seconds, not for minutes: these run alone, after the others.
        extends: true,
        test: {
          name: "browser",
          include: BROWSER,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
