/** Names in mathematics: what is an index and what is not. */

export interface SplitName {
  readonly base: string;
  readonly index?: string;
}

/** `grad_y` has the index y, `mean_1` and `sum1` have 1; other underscores belong to the name. */
export function splitName(text: string): SplitName {
  const [, of] = /^(?:total_)?grad_(.+)$/.exec(text) ?? [];
  if (of !== undefined) return { base: text.slice(0, -of.length - 1), index: of };
  const [, base, index] = /^(.*[A-Za-z])_?(\d+)$/.exec(text) ?? [];
  return base !== undefined && index !== undefined ? { base, index } : { base: text };
}
