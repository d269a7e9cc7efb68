/** Who is compared with whom. */
import type { Case } from './cases.ts';
import type { Contender } from './contender.ts';
import type { Outcome } from './measure.ts';
import type { Timing } from './statistics.ts';

/** A case and what became of every contender, by name. */
export interface Row {
  readonly row: Case;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

export function timingIn({ outcomes }: Row, name: string): Timing | undefined {
  const outcome = outcomes.get(name);
  return outcome && 'timing' in outcome ? outcome.timing : undefined;
}

export interface Best {
  readonly name: string;
  readonly timing: Timing;
}

/** The fastest peer on the same kind of device; one thread is compared with one, all with any number. */
export function bestPeer(
  row: Row,
  contenders: readonly Contender[],
  { unit, threads }: Pick<Contender, 'unit' | 'threads'>,
): Best | undefined {
  const found = contenders.flatMap((c): Best[] => {
    const timing = timingIn(row, c.name);
    const fits = c.side === 'peer' && c.unit === unit && (threads === 'all' || c.threads === 'one');
    return fits && timing ? [{ name: c.name, timing }] : [];
  });
  return found.sort((a, b) => a.timing.median - b.timing.median)[0];
}

/** How many times as fast as the best peer, above 1 if faster. */
export function ratioOf(
  row: Row,
  contenders: readonly Contender[],
  contender: Contender,
): number | undefined {
  const mine = timingIn(row, contender.name);
  const best = bestPeer(row, contenders, contender);
  return mine && best ? best.timing.median / mine.median : undefined;
}
