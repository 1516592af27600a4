/**
 * @file Unpacks Snappy's raw format. (hyparquet's own decoder runs forever on some damaged lengths.)
 * Format: https://github.com/google/snappy/blob/main/format_description.txt
 */

/** @param out as long as what is packed @throws Error when `packed` is damaged */
export function unsnapped(packed: Uint8Array, out: Uint8Array): Uint8Array {
  let at = 0;
  let filled = 0;
  const number = (bytes: number): number => {
    if (at + bytes > packed.length) throw new Error("Snappy data ends too early");
    let value = 0;
    for (let i = 0; i < bytes; i++) value += packed[at++]! * 2 ** (8 * i);
    return value;
  };
  while (number(1) >= 128); // the length, which the page's header tells too
  while (at < packed.length) {
    const tag = number(1);
    const kind = tag & 3;
    if (kind === 0) {
      const short = tag >> 2;
      const length = 1 + (short < 60 ? short : number(short - 59));
      if (at + length > packed.length || filled + length > out.length)
        throw new Error(`Snappy data has ${length} bytes where there is no room for them`);
      out.set(packed.subarray(at, at + length), filled);
      at += length;
      filled += length;
    } else {
      const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
      const offset = kind === 1 ? ((tag >> 5) << 8) + number(1) : number(kind === 2 ? 2 : 4);
      if (offset === 0 || offset > filled || filled + length > out.length)
        throw new Error(`Snappy data refers ${offset} bytes back at byte ${filled}`);
      // What is copied may overlap what is written: byte by byte, it repeats.
      for (let i = 0; i < length; i++, filled++) out[filled] = out[filled - offset]!;
    }
  }
  if (filled !== out.length) throw new Error(`Snappy data holds ${filled} bytes, expected ${out.length}`);
  return out;
}
