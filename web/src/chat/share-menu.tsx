/** @file Gives a conversation away: as a link, as a file. */
import { useState } from "react";
import type { Held } from "../clamps.ts";
import type { Turn } from "./conversation.ts";
import { download, linkOf, sharedOf } from "./share.ts";

interface ShareProps {
  readonly model: string;
  readonly sae: string;
  readonly clamps: readonly Held[];
  readonly turns: readonly Turn[];
}

export function Share({ model, sae, clamps, turns }: ShareProps) {
  const [link, setLink] = useState<{ readonly url: string; readonly copied: boolean }>();
  if (turns.length === 0 && clamps.length === 0) return null;
  async function copy(): Promise<void> {
    const url = await linkOf(sharedOf(sae, clamps, turns), `${location.origin}/`);
    const copied = await navigator.clipboard.writeText(url).then(
      () => true,
      () => false,
    );
    setLink({ url, copied });
  }
  return (
    <>
      <button type="button" className="button plain small" onClick={() => void copy()}>
        Copy link
      </button>
      <button
        type="button"
        className="button plain small"
        onClick={() => download("conversation.json", { model, autoencoder: sae, clamps, turns })}
      >
        Download
      </button>
      <span role="status" className="small muted">
        {link?.copied && "copied"}
        {link && !link.copied && <a href={link.url}>the link</a>}
      </span>
    </>
  );
}
