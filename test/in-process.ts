/** @file The `monoscope` command in the test's own process: all that it says and its exit code, without the time that a process takes to start. */
import { vi } from "vitest";

export interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in a folder, as its users would there. Where an exit code is promised, one test of its kind should start the command itself. */
export async function monoscope(folder: string, args: readonly string[]): Promise<Result> {
  process.env.NO_COLOR = "1"; // read when the commands are loaded
  const { run } = await import("../src/cli/program.ts");
  const said = { stdout: "", stderr: "" };
  const hear = (name: keyof typeof said) => (text: unknown) => {
    said[name] += text;
    return true;
  };
  const line = (name: keyof typeof said) => (text: unknown) => void hear(name)(`${text}\n`);
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(hear("stdout")),
    vi.spyOn(process.stderr, "write").mockImplementation(hear("stderr")),
    vi.spyOn(console, "log").mockImplementation(line("stdout")),
    vi.spyOn(console, "error").mockImplementation(line("stderr")),
  ];
  const before = process.cwd();
  process.chdir(folder);
  try {
    return { status: await run(args), ...said };
  } finally {
    process.chdir(before);
    for (const spy of spies) spy.mockRestore();
  }
}
