/** @file Named sets of clamps: to take one, to save what is held as one, to remove one. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { forgetCharacter, type SavedCharacter, saveCharacter, useCharacters } from "../api.ts";
import { clampOf, type Held, keyOf } from "../clamps.ts";

interface CharactersProps {
  readonly clamps: readonly Held[];
  readonly onTake: (clamps: Held[]) => void;
}

export function Characters({ clamps, onTake }: CharactersProps) {
  const queries = useQueryClient();
  const { data } = useCharacters();
  const again = () => queries.invalidateQueries({ queryKey: ["characters"] });
  const forget = useMutation({ mutationFn: forgetCharacter, onSuccess: again });
  const [naming, setNaming] = useState(false);
  const characters = data?.characters ?? [];
  if (characters.length === 0 && clamps.length === 0) return null;
  return (
    <div className="characters">
      <span className="small muted" id="characters">
        Characters
      </span>
      <ul aria-labelledby="characters">
        {characters.map((character) => {
          const taken = isTaken(character, clamps);
          return (
            <li key={character.id}>
              <button
                type="button"
                className="character"
                aria-pressed={taken}
                title={character.about}
                onClick={() => onTake(taken ? [] : heldOf(character))}
              >
                {character.name}
              </button>
              {!character.packaged && (
                <button
                  type="button"
                  className="remove"
                  aria-label={`Remove ${character.name}`}
                  title="Remove"
                  onClick={() => forget.mutate(character.id)}
                >
                  ×
                </button>
              )}
            </li>
          );
        })}
        {clamps.length > 0 && !characters.some((character) => isTaken(character, clamps)) && (
          <li>
            {naming ? (
              <Naming clamps={clamps} onDone={() => setNaming(false)} />
            ) : (
              <button type="button" className="link small" onClick={() => setNaming(true)}>
                Save what is held …
              </button>
            )}
          </li>
        )}
      </ul>
      {forget.isError && <p className="small bad">{forget.error.message}</p>}
    </div>
  );
}

function Naming({ clamps, onDone }: { clamps: readonly Held[]; onDone: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const save = useMutation({
    mutationFn: () => saveCharacter({ name: name.trim(), about: "", clamps: clamps.map(clampOf) }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["characters"] });
      onDone();
    },
  });
  return (
    <form
      className="naming"
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim() !== "") save.mutate();
      }}
    >
      <input
        className="field"
        ref={focus}
        maxLength={80}
        aria-label="Name of the character"
        placeholder="Name"
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <button type="submit" className="button" disabled={name.trim() === "" || save.isPending}>
        Save
      </button>
      <button type="button" className="button plain" onClick={onDone}>
        Cancel
      </button>
      {save.isError && <span className="small bad">{save.error.message}</span>}
    </form>
  );
}

/** The field appears where its button was pressed. */
function focus(field: HTMLInputElement | null): void {
  field?.focus();
}

/** Characters with strengths of other kinds cannot be shown on a slider of shares. */
function heldOf({ clamps }: SavedCharacter): Held[] {
  return clamps.flatMap(({ autoencoder, feature, share }) => (share === undefined ? [] : [{ sae: autoencoder, feature, share }]));
}

function isTaken(character: SavedCharacter, clamps: readonly Held[]): boolean {
  const own = heldOf(character);
  const shares = new Map(clamps.map((held) => [keyOf(held), held.share]));
  return (
    own.length > 0 && own.length === clamps.length && own.every((held) => Math.abs((shares.get(keyOf(held)) ?? 9) - held.share) < 1e-3)
  );
}
