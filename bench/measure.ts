/** Times the contenders of a case in turns, so that what disturbs the machine disturbs all of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { disagreement } from './agree.ts';
import { type Case, elementsOf } from './cases.ts';
import { type Contender, type Prepared, reasonOf } from './contender.ts';
import type { Data } from './data.ts';
import { collectGarbage } from './garbage.ts';
import { checkGpu } from './gpu.ts';
import type { Results } from './reference.ts';
import { type Timing, timingOf } from './statistics.ts';

export interface Budget {
  readonly rounds: number;
  /** Milliseconds of one sample, which is as many calls as fit. */
  readonly sample: number;
  /** Milliseconds after which a contender gets no further round, once it has had two. */
  readonly total: number;
  /** Milliseconds of a call of a peer that is too slow to measure; ours is measured anyway. */
  readonly call: number;
}

export const budgets: { readonly [K in 'full' | 'quick']: Budget } = {
  full: { rounds: 7, sample: 12, total: 600, call: 2000 },
  quick: { rounds: 3, sample: 8, total: 250, call: 1500 },
};

/** What became of a contender in a case: a timing in milliseconds, or why there is none. */
export type Outcome = { readonly timing: Timing } | { readonly missing: string } | { readonly wrong: string };

/** Remembers how slow contenders were, to foresee a call that would take too long. */
export class Foresight {
  readonly #perElement = new Map<string, number>();

  see(name: string, row: Case, ms: number): void {
    // A small call is mostly overhead and foretells nothing.
    if (elementsOf(row) > 1e4) this.#perElement.set(this.#key(name, row), ms / elementsOf(row));
  }

  /** Milliseconds. */
  foresee(name: string, row: Case): number {
    return (this.#perElement.get(this.#key(name, row)) ?? 0) * elementsOf(row);
  }

  #key(name: string, { op, layout, training, task }: Case): string {
    return [name, op, layout, training, task].join(' ');
  }
}

interface Entrant {
  readonly contender: Contender;
  readonly prepared: Prepared;
  /** Calls of one sample. */
  count: number;
  spent: number;
  failure?: string;
  /** Milliseconds of a call. */
  readonly samples: number[];
}

export interface Setting {
  readonly row: Case;
  readonly data: readonly Data[];
  readonly expected: Results | undefined;
  readonly budget: Budget;
  readonly foresight: Foresight;
}

/** Checks every contender's results on a case, times those that are right, and says what became of each. */
export async function measure(
  contenders: readonly Contender[],
  setting: Setting,
): Promise<ReadonlyMap<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  const entrants: Entrant[] = [];
  try {
    for (const contender of contenders) {
      const entrant = await admit(contender, setting);
      if ('samples' in entrant) entrants.push(entrant);
      else outcomes.set(contender.name, entrant);
    }
    await takeTurns(entrants, setting.budget);
  } finally {
    for (const { prepared } of entrants) await prepared.dispose();
  }
  for (const { contender, samples, failure } of entrants) {
    if (failure) {
      outcomes.set(contender.name, { missing: `failed: ${failure}` });
      continue;
    }
    const timing = timingOf(samples);
    setting.foresight.see(contender.name, setting.row, timing.median);
    outcomes.set(contender.name, { timing });
  }
  return outcomes;
}

/** Prepares, checks and warms up. */
async function admit(contender: Contender, setting: Setting): Promise<Entrant | Outcome> {
  const { row, data, budget, foresight } = setting;
  const reason = await contender.cannot(row);
  if (reason) return { missing: reason };
  const foreseen = foresight.foresee(contender.name, row);
  if (contender.side === 'peer' && foreseen > budget.call)
    return { missing: `too slow: about ${(foreseen / 1000).toFixed(0)} s a call` };
  let prepared: Prepared | undefined;
  try {
    prepared = await contender.prepare(row, data);
    const wrong = await check(contender, prepared, setting.expected);
    if (!wrong) return await warmUp(contender, prepared, budget);
    await prepared.dispose();
    return { wrong };
  } catch (error) {
    await prepared?.dispose();
    return { missing: `failed: ${reasonOf(error)}` };
  }
}

async function check(
  { side }: Contender,
  prepared: Prepared,
  expected: Results | undefined,
): Promise<string | undefined> {
  return side === 'floor' || !expected ? undefined : disagreement(expected, await prepared.results());
}

/**
 * Calls until compilers have had their chance, and decides how many calls are a sample. V8 compiles WebAssembly and
 * the JavaScript around it a second time, beside the calls: on short calls the first hundred are up to twice as slow.
 */
async function warmUp(contender: Contender, prepared: Prepared, budget: Budget): Promise<Entrant> {
  let spent = 0;
  let last = 0;
  let each = Number.POSITIVE_INFINITY;
  for (let count = 1, calls = 0; spent < 12 * budget.sample || calls < 3; count *= 2) {
    last = await prepared.time(count);
    spent += last;
    calls += count;
    last /= count;
    each = Math.min(each, last);
    // Never after one call: its time is mostly that of memory nobody has used before.
    if (spent > budget.total && calls > 1) break;
  }
  checkGpu();
  const entrant = { contender, prepared, spent: 0, samples: [] };
  // What takes so long has no use for more warming up, so that the last call counts.
  if (each > budget.total) return { ...entrant, count: 1, spent, samples: [last] };
  // Several calls a wait on a GPU, since nobody waits for the queue after each; where a call is long it does not matter.
  const fewest = contender.unit === 'gpu' && each < budget.total / 6 ? 3 : 1;
  return { ...entrant, count: Math.max(fewest, Math.ceil(budget.sample / Math.max(each, 1e-5))) };
}

async function takeTurns(entrants: readonly Entrant[], budget: Budget): Promise<void> {
  for (let round = 0; round < budget.rounds; round++) {
    collectGarbage();
    for (let i = 0; i < entrants.length; i++) {
      // Each round starts with another, so that nobody always follows the same one.
      const entrant = entrants[(i + round) % entrants.length]!;
      if (entrant.failure || (entrant.spent > budget.total && entrant.samples.length >= 2)) continue;
      await sleep(2); // lets idle threads of the one before go to sleep
      await sample(entrant);
    }
  }
}

async function sample(entrant: Entrant): Promise<void> {
  try {
    const ms = await entrant.prepared.time(entrant.count);
    checkGpu();
    entrant.spent += ms;
    entrant.samples.push(ms / entrant.count);
  } catch (error) {
    entrant.failure = reasonOf(error);
  }
}
