/** Medians and their spread. */

export interface Timing {
  /** Milliseconds of a call, as the others. */
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
}

/** The value below which a share of the sorted samples lies, between two of them by proportion. */
function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const next = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return sorted[below]! + (place - below) * (next - sorted[below]!);
}

/** The median and the quartiles. */
export function timingOf(samples: readonly number[]): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), lower: quantile(sorted, 0.25), upper: quantile(sorted, 0.75) };
}

/** Half the distance of the quartiles, in percent of the median. */
export const spreadOf = ({ median, lower, upper }: Timing): number => (50 * (upper - lower)) / median;
