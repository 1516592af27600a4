/**
 * @file A model that has learnt nothing: a copy of a GGUF file in which the weights of each matrix have changed places. It has the architecture and the distribution of weights of the original, and is what
 * findings are compared with: autoencoders find features in random transformers too (Heap et al. 2025, "Sparse autoencoders can interpret randomly initialized transformers").
 */
import { createReadStream } from "node:fs";
import { ArgumentError } from "../../errors.ts";
import { exists, writeWhole } from "../../files.ts";
import { mix, permutation, seededRandom } from "../../random.ts";
import { decodableLayout } from "./quantization.ts";
import { Gguf } from "./reader.ts";

/**
 * Writes the copy, whole. What moves are the blocks that the file's types are made of: 32 neighbouring weights with one scale, or 256, or one. Vectors (the scales of norms) stay, so that activations keep their size.
 * @throws ArgumentError when there is a file at `target`, which may be the model itself; NotFoundError, FormatError, UnsupportedError, DiskError
 */
export async function shuffleGguf(path: string, target: string, seed: number): Promise<void> {
  if (await exists(target)) throw new ArgumentError(`${target} exists already; name a new file`);
  const gguf = await Gguf.open(path);
  try {
    await writeWhole(target, async (file) => {
      for await (const chunk of createReadStream(path)) await file.writeFile(chunk);
      for (const [i, { name, shape, type, start }] of [...gguf.tensors.values()].entries()) {
        if (shape.length < 2) continue;
        const size = decodableLayout(type).bytes;
        const original = await gguf.readBytes(name);
        const shuffled = new Uint8Array(original.length);
        for (const [to, from] of permutation(original.length / size, seededRandom(mix(seed, i))).entries())
          shuffled.set(original.subarray(from * size, (from + 1) * size), to * size);
        await file.write(shuffled, 0, shuffled.length, start);
      }
    });
  } finally {
    await gguf.close();
  }
}
