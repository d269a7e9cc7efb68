/** Names in mathematics: what is an index and what is not. */

export interface SplitName {
  readonly base: string;
  readonly index?: string;
}

/**
 * `grad_y`, `v_x` and `second_x` have what they belong to as index, `x_t` has t, `mean_1` and `sum1` have 1; other
 * underscores belong to the name.
 */
export function splitName(text: string): SplitName {
  const [, of] = /^(?:(?:total_)?(?:grad|second)|v)_(.+)$/.exec(text) ?? [];
  if (of !== undefined) return { base: text.slice(0, -of.length - 1), index: of };
  const [, base, index] = /^(.*[A-Za-z])_?(\d+)$/.exec(text) ?? /^(.+)_(t)$/.exec(text) ?? [];
  return base !== undefined && index !== undefined ? { base, index } : { base: text };
}
