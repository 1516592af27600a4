/** @file From tokens to features: for each token the features that raise it, lower it, or fire at it, strongest first. Read like a book's index, so that no search goes through all features. */
import type { Data, RecordBatch } from "apache-arrow";
import { childOf, RowGatherer } from "./columns.ts";
import { POSTING_COLUMNS, POSTINGS, type Posting } from "./schema.ts";
import type { Store } from "./store.ts";

const TOKENS_PER_BATCH = 8192;

/** Writes the tables of postings from the table of features. @throws DiskError, FormatError */
export async function writePostings(store: Store): Promise<void> {
  for (const posting of POSTINGS) {
    const entries = await collect(store, posting);
    await store.recreate(posting, POSTING_COLUMNS);
    const rows = new RowGatherer(POSTING_COLUMNS);
    for (let first = 0; first + 1 < entries.starts.length; first += TOKENS_PER_BATCH) {
      for (let token = first; token < Math.min(first + TOKENS_PER_BATCH, entries.starts.length - 1); token++)
        rows.push(ordered(entries, token));
      await store.write(posting, (table) => table.add(rows.take()));
    }
  }
}

/** Entries by token: those of token t at `starts[t]` … `starts[t + 1]` − 1. */
interface Entries {
  readonly starts: Uint32Array;
  readonly features: Uint32Array;
  readonly effects: Float32Array;
}

/** Gathers the entries of all features, by counting sort. */
async function collect(store: Store, posting: Posting): Promise<Entries> {
  const parts: { rows: number; features: Uint32Array; starts: Int32Array; tokens: Uint32Array; effects: Float32Array }[] = [];
  let tokens = 0;
  await store.scan("features", ["feature", posting, ...(posting === "tokens" ? ["histogram"] : [])], (batch) => {
    const lists = batch.getChild(posting)!.data[0]! as Data;
    const entries = lists.children[0]!;
    const part = {
      rows: batch.numRows,
      features: batch.getChild("feature")!.data[0]!.values as Uint32Array,
      starts: lists.valueOffsets as Int32Array,
      tokens: childOf(entries, "token").values as Uint32Array,
      effects: posting === "tokens" ? firingShares(batch, lists) : (childOf(entries, "effect").values as Float32Array),
    };
    for (let e = part.starts[0]!; e < part.starts[batch.numRows]!; e++) tokens = Math.max(tokens, part.tokens[e]! + 1);
    parts.push(part);
  });
  const starts = new Uint32Array(tokens + 1);
  const each = (visit: (token: number, feature: number, effect: number) => void) => {
    for (const part of parts)
      for (let row = 0; row < part.rows; row++)
        for (let e = part.starts[row]!; e < part.starts[row + 1]!; e++) visit(part.tokens[e]!, part.features[row]!, part.effects[e]!);
  };
  each((token) => starts[token + 1]!++);
  for (let t = 0; t < tokens; t++) starts[t + 1]! += starts[t]!;
  const next = starts.slice(0, tokens);
  const features = new Uint32Array(starts[tokens]!);
  const effects = new Float32Array(starts[tokens]!);
  each((token, feature, effect) => {
    const at = next[token]!++;
    features[at] = feature;
    effects[at] = effect;
  });
  return { starts, features, effects };
}

/** Of each entry of `tokens`, the share of the feature's firings that were at the token. */
function firingShares(batch: RecordBatch, lists: Data): Float32Array {
  const starts = lists.valueOffsets as Int32Array;
  const counts = childOf(lists.children[0]!, "count").values as Uint32Array;
  const histogram = childOf(batch.getChild("histogram")!.data[0]! as Data, "counts");
  const bins = histogram.children[0]!.values as Uint32Array;
  const shares = new Float32Array(counts.length);
  for (let row = 0; row < batch.numRows; row++) {
    let fired = 0;
    for (let b = histogram.valueOffsets[row]!; b < histogram.valueOffsets[row + 1]!; b++) fired += bins[b]!;
    for (let e = starts[row]!; e < starts[row + 1]!; e++) shares[e] = fired > 0 ? Math.min(1, counts[e]! / fired) : 0;
  }
  return shares;
}

function ordered({ starts, features, effects }: Entries, token: number): { features: number[]; effects: number[] } {
  const order = Array.from({ length: starts[token + 1]! - starts[token]! }, (_, i) => starts[token]! + i);
  order.sort((a, b) => Math.abs(effects[b]!) - Math.abs(effects[a]!) || features[a]! - features[b]!);
  return { features: order.map((e) => features[e]!), effects: order.map((e) => effects[e]!) };
}
