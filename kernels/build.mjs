/**
 * @file Builds the native kernels (npm runs this on install). Where it cannot, it says so in a line and succeeds: the reference kernels in
 * TypeScript then run instead.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const library = `${folder}monoscope-kernels.node`;
const built = { win32: "monoscope_kernels.dll", darwin: "libmonoscope_kernels.dylib" }[process.platform] ?? "libmonoscope_kernels.so";

const changed = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function sources() {
  const code = readdirSync(`${folder}src`, { recursive: true }).filter((name) => name.endsWith(".rs"));
  return ["Cargo.toml", "Cargo.lock", "build.rs", ...code.map((name) => `src/${name}`)].map((name) => folder + name);
}

function build() {
  if (changed(library) > Math.max(...sources().map(changed))) return;
  const options = { cwd: folder, encoding: "utf8" };
  if (spawnSync("cargo", ["--version"], options).error) {
    console.error(
      "monoscope: no Rust toolchain here, so training runs on the reference kernels, about a hundred times slower. To change that: https://rustup.rs, then `npm rebuild monoscope` (`npm run install` in a checkout).",
    );
    return;
  }
  console.error("monoscope: building the native kernels (under a minute) …");
  const cargo = spawnSync("cargo", ["build", "--release", "--lib", "--locked", "--quiet", "--target-dir", "target"], options);
  if (cargo.status !== 0) {
    rmSync(library, { force: true }); // an older one would not fit the code that calls it
    const lines = `${cargo.stderr ?? ""}${cargo.error ?? ""}`.trimEnd().split("\n").slice(-20);
    console.error(
      `monoscope: the native kernels did not build, so training runs on the reference kernels, about a hundred times slower. Cargo's last lines:\n${lines.join("\n")}`,
    );
    return;
  }
  // A process that has the old library open keeps it: the new one takes its name, not its place on the disk.
  const temporary = `${library}.${process.pid}`;
  try {
    copyFileSync(`${folder}target/release/${built}`, temporary);
    renameSync(temporary, library);
  } finally {
    rmSync(temporary, { force: true });
  }
}

build();
