/** @file Updates of a catalogue that come one by one, and are written many at once. */
import type { Catalog, FeatureUpdate } from "./catalog.ts";

// The catalogue takes so many as fast as one.
const AT_ONCE = 256;

/** Gathers updates. What was added is sure to be in the catalogue when `flush` resolves, and not before. */
export class GatheredUpdates {
  readonly #catalog: Pick<Catalog, "update">;
  #updates: FeatureUpdate[] = [];

  constructor(catalog: Pick<Catalog, "update">) {
    this.#catalog = catalog;
  }

  /** @throws ArgumentError when there is no such feature, DiskError */
  async add(update: FeatureUpdate): Promise<void> {
    this.#updates.push(update);
    if (this.#updates.length >= AT_ONCE) await this.flush();
  }

  /** @throws ArgumentError when there is no such feature, DiskError */
  async flush(): Promise<void> {
    await this.#catalog.update(this.#updates.splice(0));
  }
}
