#!/usr/bin/env node
/** @file The `monoscope` command. */
import { run } from "./program.ts";

// `monoscope … | head` closes the pipe: that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const status = await run(process.argv.slice(2));
if (status !== 0) process.exitCode = status;
