/** @file Logistic regression on one variable, by Newton's method. */

export interface LogisticFit {
  /** P(y = 1) = 1 / (1 + exp(−(intercept + slope · x))). */
  readonly intercept: number;
  readonly slope: number;
  /** Standard error of the slope: less than twice it away from 0, the slope may well be chance. */
  readonly slopeError: number;
}

const MAX_ITERATIONS = 100;
const TOLERANCE = 1e-9;

/**
 * Fits P(y = 1 | x) with Firth's penalty (Jeffreys' prior; Firth 1993, Heinze and Schemper 2002). Plain maximum likelihood has no answer where a value of x
 * separates the outcomes, which few concepts often do; the penalised one always has, and it is less biased in small samples.
 * @returns undefined where there is no curve to fit: all outcomes are equal, or all x
 */
export function fitLogistic(x: readonly number[], y: readonly boolean[]): LogisticFit | undefined {
  if (new Set(x).size < 2 || new Set(y).size < 2) return undefined;
  let at = evaluate(x, y, 0, 0);
  for (let i = 0; i < MAX_ITERATIONS && Math.max(...at.score.map(Math.abs)) > TOLERANCE; i++) {
    const { intercept, slope } = at;
    const [a, b, d] = at.inverse;
    const [u, v] = at.score;
    const step = [a * u + b * v, b * u + d * v] as const;
    // Newton's step may leap over the top: half of it, a quarter, … until the likelihood rises.
    for (let length = 1; length > 1e-9; length /= 2) {
      const next = evaluate(x, y, intercept + length * step[0], slope + length * step[1]);
      if (!(next.logLikelihood >= at.logLikelihood)) continue;
      at = next;
      break;
    }
  }
  return { intercept: at.intercept, slope: at.slope, slopeError: Math.sqrt(at.inverse[2]) };
}

/** P(y = 1) at x. */
export function probability({ intercept, slope }: Pick<LogisticFit, "intercept" | "slope">, x: number): number {
  return 1 / (1 + Math.exp(-(intercept + slope * x)));
}

/** The penalised log-likelihood at a point, its gradient, and the inverse of the information matrix [[a, b], [b, d]]. */
function evaluate(x: readonly number[], y: readonly boolean[], intercept: number, slope: number) {
  const p = x.map((value) => probability({ intercept, slope }, value));
  let [i00, i01, i11] = [0, 0, 0];
  for (const [i, value] of x.entries()) {
    const w = p[i]! * (1 - p[i]!);
    i00 += w;
    i01 += w * value;
    i11 += w * value * value;
  }
  const determinant = i00 * i11 - i01 * i01;
  const inverse = [i11 / determinant, -i01 / determinant, i00 / determinant] as const;
  let logLikelihood = Math.log(determinant) / 2;
  const score: [number, number] = [0, 0];
  for (const [i, value] of x.entries()) {
    const leverage = p[i]! * (1 - p[i]!) * (inverse[0] + 2 * inverse[1] * value + inverse[2] * value * value);
    const residual = Number(y[i]!) - p[i]! + leverage * (0.5 - p[i]!);
    score[0] += residual;
    score[1] += residual * value;
    logLikelihood += Math.log(y[i]! ? p[i]! : 1 - p[i]!);
  }
  return { intercept, slope, inverse, score, logLikelihood };
}
