/** @file Numbers as people read them. */

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** 65,536 */
export function count(n: number): string {
  return whole.format(n);
}

/** 1.86M */
export function short(n: number): string {
  return compact.format(n);
}

/** A share as a percentage with two digits that matter: 12 %, 0.31 %, 0.0004 %. */
export function percent(share: number): string {
  const value = share * 100;
  if (value === 0) return "0 %";
  const digits = Math.max(0, Math.min(6, 1 - Math.floor(Math.log10(Math.abs(value)))));
  return `${Math.abs(value) >= 99.95 ? value.toFixed(0) : value.toFixed(digits)} %`;
}

/** A number with three digits that matter, without an exponent: 0.0123, 1.23, 12.3, 123, 1,230. */
export function decimal(value: number): string {
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  if (size >= 3) return whole.format(Math.round(value));
  return minus(value.toFixed(Math.max(0, Math.min(6, 2 - size))));
}

/** With its sign: +0.12, −0.12. */
export function signed(value: number, digits = 2): string {
  return `${value > 0 ? "+" : ""}${minus(value.toFixed(digits))}`;
}

const RIGHT_TO_LEFT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]/;

/** A description whose quoted words may run from right to left: each by itself, so that what stands around them keeps its order. */
export function isolated(text: string): string {
  return RIGHT_TO_LEFT.test(text) ? text.replace(/“([^”]*)”/g, "“\u2068$1\u2069”") : text;
}

/** A hyphen for minus is too short beside figures. */
function minus(text: string): string {
  return text.replace("-", "−");
}
