/** @file The area under the ROC curve: how well a number tells one kind of thing from another, whatever the threshold. */

/** The chance that a number of `on` is larger than one of `off`, equals counting half (Mann and Whitney 1947). One half, which is chance, where either is empty. */
export function auroc(on: readonly number[], off: readonly number[]): number {
  if (on.length === 0 || off.length === 0) return 0.5;
  let wins = 0;
  for (const a of on) for (const b of off) wins += a > b ? 1 : a === b ? 0.5 : 0;
  return wins / (on.length * off.length);
}
