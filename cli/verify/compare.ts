/** Compares a tensor with what it should be. */

export interface Comparison {
  /** The largest difference, relative to the largest element expected (or to what rounding leaves of one). */
  readonly error: number;
  /** Where it is. */
  readonly at: number;
  readonly found: number;
  readonly expected: number;
}

/** `floor` is what the largest element at least counts as. */
export function compareTensors(found: readonly number[], expected: readonly number[], floor = 0): Comparison {
  const scale = Math.max(
    floor,
    expected.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0),
  );
  let [error, at] = [found.length === expected.length ? 0 : Number.POSITIVE_INFINITY, 0];
  expected.forEach((wanted, i) => {
    const e = relative(found[i] ?? Number.NaN, wanted, scale);
    if (e > error) [error, at] = [e, i];
  });
  return { error, at, found: found[at] ?? Number.NaN, expected: expected[at] ?? Number.NaN };
}

/** NaN agrees with NaN, an infinity with itself. */
function relative(found: number, wanted: number, scale: number): number {
  if (Object.is(found, wanted) || found === wanted) return 0;
  const difference = Math.abs(found - wanted) / scale;
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
}
