/** @file Tiny packages for tests, made on the spot: an npm tarball, a wheel, and a Debian package where dpkg-deb is there. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { NotFoundError } from "../../errors.ts";
import type { Fetch } from "./packages.ts";

type Files = Readonly<Record<string, string>>;

function lay(folder: string, files: Files): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

/** `files` by their path in the package, `package/…`. */
export function npmPackage(folder: string, name: string, files: Files): string {
  const content = join(folder, `${name}-content`);
  lay(content, files);
  const path = join(folder, `${name}-1.0.0.tgz`);
  execFileSync("tar", ["-czf", path, "-C", content, "package"]);
  return path;
}

export function debianPackage(folder: string, name: string, files: Files): string {
  const content = join(folder, `${name}-content`);
  lay(content, {
    ...files,
    "DEBIAN/control": `Package: ${name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: test\n`,
  });
  const path = join(folder, `${name}_1.0-1_all.deb`);
  execFileSync("dpkg-deb", ["--root-owner-group", "-Zgzip", "--build", content, path], { stdio: "ignore" });
  return path;
}

/** A zip archive whose entries are stored, not compressed (APPNOTE.TXT 4.3). */
export function wheel(folder: string, name: string, files: Files): string {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [file, text] of Object.entries(files)) {
    const [path, data] = [Buffer.from(file), Buffer.from(text)];
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt32LE(crc32(data), 14);
    local.writeUInt32LE(data.length, 18);
    local.writeUInt32LE(data.length, 22);
    local.writeUInt16LE(path.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(20, 4);
    central.writeUInt16LE(20, 6);
    local.copy(central, 16, 14, 30);
    central.writeUInt32LE(offset, 42);
    parts.push(local, path, data);
    directory.push(central, path);
    offset += local.length + path.length + data.length;
  }
  const index = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(directory.length / 2, 8);
  end.writeUInt16LE(directory.length / 2, 10);
  end.writeUInt32LE(index.length, 12);
  end.writeUInt32LE(offset, 16);
  const target = join(folder, `${name}-1.0-py3-none-any.whl`);
  writeFileSync(target, Buffer.concat([...parts, index, end]));
  return target;
}

/** Hands out packages that are on the disk, and counts how often it was asked. */
export function shelf(paths: Readonly<Record<string, string>>): Fetch & { asked: string[] } {
  const asked: string[] = [];
  const fetch: Fetch = async (item) => {
    asked.push(item.package);
    const path = paths[item.package];
    if (path === undefined) throw new NotFoundError(`${item.package} is not on the shelf`);
    return { path, version: "1.0", sha256: createHash("sha256").update(readFileSync(path)).digest("hex") };
  };
  return Object.assign(fetch, { asked });
}
