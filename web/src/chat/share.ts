/** @file A conversation as a link, and as a file. */
import { type Held, readClamps, writeClamps } from "../clamps.ts";
import type { Turn } from "./conversation.ts";

/** What a link holds: the words and the clamps, not the activations, which would make it too long. */
export interface Shared {
  readonly sae: string;
  readonly clamps: readonly Held[];
  readonly turns: readonly SharedTurn[];
}

interface SharedTurn {
  readonly question: string;
  readonly plain: string;
  readonly steered?: string;
  /** What was held then, as addresses have it; where it is left out, what is held now. */
  readonly held?: string;
}

const PREFIX = "#chat=";
// More than any conversation that a link could hold: a link from elsewhere must not fill the memory.
const MOST_CHARACTERS = 2_000_000;

export async function linkOf(shared: Shared, base: string): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(shared));
  const packed = await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"))).arrayBuffer();
  return `${base}${PREFIX}${base64url(new Uint8Array(packed))}`;
}

/** Undefined where the address has no conversation, or one that cannot be read. */
export async function sharedIn(hash: string): Promise<Shared | undefined> {
  if (!hash.startsWith(PREFIX)) return undefined;
  try {
    const packed = Uint8Array.from(atob(hash.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    let text = "";
    for await (const part of new Blob([packed])
      .stream()
      .pipeThrough(new DecompressionStream("deflate-raw"))
      .pipeThrough(new TextDecoderStream())) {
      text += part;
      if (text.length > MOST_CHARACTERS) return undefined;
    }
    return checked(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function checked(value: unknown): Shared | undefined {
  const shared = value as Partial<Shared> | null;
  const sound =
    typeof shared?.sae === "string" &&
    Array.isArray(shared.clamps) &&
    shared.clamps.every((held) => typeof held?.sae === "string" && Number.isInteger(held.feature) && Number.isFinite(held.share)) &&
    Array.isArray(shared.turns) &&
    shared.turns.every(
      (turn) =>
        typeof turn?.question === "string" &&
        typeof turn.plain === "string" &&
        [turn.steered, turn.held].every((part) => part === undefined || typeof part === "string"),
    );
  return sound ? (shared as Shared) : undefined;
}

export function sharedOf(sae: string, clamps: readonly Held[], turns: readonly Turn[]): Shared {
  const now = writeClamps(clamps, sae);
  const shared = turns.map(({ question, plain, steered, clamps: own }) => {
    const held = writeClamps(own, sae);
    return { question, plain: plain.text, ...(steered && { steered: steered.text, ...(held !== now && { held }) }) };
  });
  return { sae, clamps, turns: shared };
}

export function turnsOf({ sae, clamps, turns }: Shared): Turn[] {
  const answer = (text: string) => ({ text, tokens: [], features: [], state: "stop" }) as const;
  return turns.map(({ question, plain, steered, held }) => ({
    question,
    plain: answer(plain),
    ...(steered !== undefined && { steered: answer(steered) }),
    clamps: steered === undefined ? [] : held === undefined ? clamps : readClamps(held, sae),
  }));
}

export function download(name: string, content: object): void {
  const url = URL.createObjectURL(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

function base64url(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
