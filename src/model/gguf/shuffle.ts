/**
 * @file A model that has learnt nothing: a copy of a GGUF file in which the weights of each matrix have changed places. It has the architecture and the distribution of weights of the original, and is what
 * findings are compared with: autoencoders find features in random transformers too (Heap et al. 2025, "Sparse autoencoders can interpret randomly initialized transformers").
 */
import { readFile } from "node:fs/promises";
import { writeWhole } from "../../files.ts";
import { mix, permutation, seededRandom } from "../../random.ts";
import { decodableLayout } from "./quantization.ts";
import { Gguf } from "./reader.ts";

/**
 * Writes the copy, whole. What moves are the blocks that the file's types are made of: 32 neighbouring weights with one scale, or 256, or one. Vectors (the scales of norms) stay, so that activations keep their size.
 * @throws NotFoundError, FormatError, UnsupportedError, DiskError
 */
export async function shuffleGguf(path: string, target: string, seed: number): Promise<void> {
  const gguf = await Gguf.open(path);
  const tensors = [...gguf.tensors.values()];
  await gguf.close();
  const bytes = await readFile(path);
  for (const [i, { shape, type, start, bytes: length }] of tensors.entries()) {
    if (shape.length < 2) continue;
    const size = decodableLayout(type).bytes;
    const tensor = bytes.subarray(start, start + length);
    const original = Uint8Array.from(tensor);
    for (const [to, from] of permutation(length / size, seededRandom(mix(seed, i))).entries())
      tensor.set(original.subarray(from * size, (from + 1) * size), to * size);
  }
  await writeWhole(target, (file) => file.writeFile(bytes));
}
