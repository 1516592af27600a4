/** @file A token as a word in a table, with a bar behind it. */
import { signs } from "../../../src/features/token-names.ts";

/** @param part how long the bar is, from 0 to 1 */
export function Piece({ text, part }: { text: string; part: number }) {
  return (
    <td className="piece" style={{ "--part": `${(100 * Math.max(0, Math.min(1, part))).toFixed(1)}%` }} title={JSON.stringify(text)}>
      {visible(text)}
    </td>
  );
}

/** Spaces and line breaks at the ends get a sign: " the" and "the" are two tokens. */
function visible(text: string) {
  const [, before, middle, after] = /^(\s*)([\s\S]*?)(\s*)$/.exec(text)!;
  return (
    <>
      <Blank text={before!} />
      {middle}
      <Blank text={after!} />
    </>
  );
}

function Blank({ text }: { text: string }) {
  if (text === "") return null;
  return <span className="space">{signs(text)}</span>;
}
