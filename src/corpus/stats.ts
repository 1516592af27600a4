/** @file What a corpus holds: documents, characters and tokens, by kind, language and source. */
import { CancelledError } from "../errors.ts";
import { type CorpusRecord, corpusFiles, HELD_OUT, readRecords } from "./records.ts";
import type { TextEncoding } from "./tokenize.ts";

export interface Count {
  documents: number;
  characters: number;
  tokens: number;
}

export interface CorpusStats {
  total: Count;
  heldOut: Count;
  /** Documents with the marks of a chat's turns, whatever their kind. */
  chats: Count;
  kinds: Record<string, Count>;
  languages: Record<string, Count>;
  sources: Record<string, Count>;
}

/** Counts a corpus that was built or sampled. @throws NotFoundError when the folder holds none, FormatError, CancelledError */
export async function corpusStats(
  folder: string,
  tokenizer: TextEncoding,
  { onProgress, signal }: { onProgress?: (count: Count) => void; signal?: AbortSignal } = {},
): Promise<CorpusStats> {
  const stats: CorpusStats = { total: none(), heldOut: none(), chats: none(), kinds: {}, languages: {}, sources: {} };
  for (const { part, path } of await corpusFiles(folder)) {
    for await (const { text, kind, language, source } of readRecords<CorpusRecord>(path)) {
      if (signal?.aborted) throw new CancelledError("cancelled while counting");
      const tokens = tokenizer.encode(text).length;
      const counts = [stats.total, of(stats.kinds, kind), of(stats.languages, language), of(stats.sources, source)];
      if (part === HELD_OUT) counts.push(stats.heldOut);
      if (text.includes("<|im_start|>")) counts.push(stats.chats);
      for (const count of counts) {
        count.documents++;
        count.characters += text.length;
        count.tokens += tokens;
      }
      onProgress?.(stats.total);
    }
  }
  return stats;
}

function of(counts: Record<string, Count>, name: string): Count {
  counts[name] ??= none();
  return counts[name];
}

function none(): Count {
  return { documents: 0, characters: 0, tokens: 0 };
}
