/** How far apart two arrays are. */

export type Numbers = readonly number[];

/**
 * Where `actual` is farthest from `expected`, relative to the largest finite element expected and to `scale`, or
 * undefined where everything is within `tolerance`. NaN and infinities must be where they are expected.
 */
export function farthest(
  actual: Numbers,
  expected: Numbers,
  tolerance: number,
  scale = 0,
): string | undefined {
  if (actual.length !== expected.length) return `${actual.length} elements instead of ${expected.length}`;
  const finite = expected.filter(Number.isFinite).map(Math.abs);
  const largest = finite.reduce((a, b) => Math.max(a, b), scale);
  let worst = -1;
  let most = 0;
  for (const [i, value] of actual.entries()) {
    const wanted = expected[i]!;
    if (Object.is(value, wanted) || value === wanted) continue;
    const distance = Math.abs(value - wanted) / (largest === 0 ? 1 : largest);
    if (distance <= most) continue;
    worst = i;
    most = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance;
    if (most === Number.POSITIVE_INFINITY) break;
  }
  if (most <= tolerance) return undefined;
  return `[${worst}] is ${actual[worst]}, not ${expected[worst]} (off by ${most.toExponential(1)} of ${largest})`;
}
