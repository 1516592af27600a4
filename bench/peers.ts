/** @file Runs `bench/peers.py`: Python libraries that train the same autoencoders. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { interrupted } from "../src/cli/options.ts";
import { ArgumentError, CancelledError } from "../src/errors.ts";

/** What `bench/peers.py` prints. */
export interface PeerResult {
  readonly trainer: string;
  readonly tokensPerSecond?: number;
  readonly peakRssMb?: number;
  readonly versions?: Readonly<Record<string, string>>;
  /** On held-out rows, by the library's own forward pass in training mode, where asked for. */
  readonly fvu?: number;
  /** Why there are no figures. */
  readonly skipped?: string;
}

const run = promisify(execFile);

/** Says what a Python lacks, before anything is measured. @throws ArgumentError */
export async function checkPython(python: string): Promise<void> {
  const missing = "', '.join(m for m in ('torch', 'sae_lens', 'sparsify') if not importlib.util.find_spec(m))";
  const { stdout } = await run(python, ["-c", `import importlib.util; print(${missing})`]).catch((error: Error) => {
    throw new ArgumentError(`--peers: cannot run ${python}: ${error.message}`);
  });
  if (stdout.trim() !== "")
    throw new ArgumentError(`--peers: ${python} has no ${stdout.trim()}; bench/peers.py --help says how to install them`);
}

/** Trains with a peer. One that fails is skipped, with the last line that it printed: it must not cost the figures of the others. @param flags options of `bench/peers.py`, without their dashes */
export async function runPeer(python: string, trainer: string, flags: Readonly<Record<string, number | string>>): Promise<PeerResult> {
  const script = fileURLToPath(new URL("peers.py", import.meta.url));
  try {
    const { stdout } = await run(
      python,
      [script, trainer, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])],
      {
        maxBuffer: 1 << 28, // progress bars
      },
    );
    return JSON.parse(stdout);
  } catch (error) {
    const { signal, stderr = "" } = error as { signal?: string | null; stderr?: string };
    if (interrupted.aborted) throw new CancelledError("stopped");
    // SIGKILL is how the system takes memory back.
    if (signal) return { trainer, skipped: `ended by ${signal}${signal === "SIGKILL" ? ": probably more memory than there is" : ""}` };
    return { trainer, skipped: `failed: ${stderr.trim().split("\n").at(-1) || (error as Error).message}` };
  }
}
