/** Checks one entry: its derivation, its claims and its kernels, in every variant. */
import { availableParallelism } from 'node:os';
import type { Entry } from '../../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../../compiler/spec/variants.ts';
import { claimChecks } from './claims.ts';
import { checkDerivation, NotSmooth } from './derivation.ts';
import { type Column, type Engines, orderColumn } from './engines.ts';
import { checkKernels, expectedOf, problemOf } from './kernels.ts';
import { type Convergence, convergenceOf, leastOrder } from './order.ts';
import { type Graphs, graphsOf } from './reference.ts';
import type { Check, Report } from './report.ts';
import { type Sample, type Sizing, sample } from './samples.ts';

export interface Job {
  readonly engines: Engines;
  readonly report: Report;
  /** Says what is being checked. */
  readonly show: (text: string) => void;
}

type Add = (check: Omit<Check, 'op' | 'variant'>) => void;

const differencesTolerance = 1e-6;

export async function verifyEntry(entry: Entry, { engines, report, show }: Job): Promise<void> {
  const later = createPool();
  for (const [turn, variant] of variantsOf(entry).entries()) {
    const key = variantKey(entry, variant);
    show(`${entry.name} [${key}]`);
    report.open(entry.name, key);
    const add: Add = (check) => report.add({ op: entry.name, variant: key, ...check });
    const graphs = graphsOf(entry, variant);
    const seed = `${entry.name} ${key}`;
    const sizings: Sizing[] = ['small', 'ones', 'odd', 'round', ...(turn === 0 ? ['long' as const] : [])];
    const samples = sizings.flatMap((sizing) => sample(graphs.forward, sizing, seed, turn) ?? []);
    if (samples.length === 0) {
      const why = 'found no inputs that its requirements allow and whose results are finite';
      add({ ...problemOf('forward', '', why), column: engines.columns[0]! });
    }
    if (engines.columns.includes('interpret')) {
      verifyDerivation(graphs, seed, turn, add);
      verifyOrders(graphs, seed, turn, add);
    }
    for (const check of claimChecks(graphs.forward)) add(check);
    await later(() => verifyKernels(graphs, samples, engines.generated, add));
  }
  await later.done();
}

/** How often another sample is drawn where one is too near a kink. */
const draws = 8;

function verifyDerivation(graphs: Graphs, seed: string, turn: number, add: Add): void {
  for (const [sizing, isElementwise] of [
    ['small', true],
    ['ones', false],
    ['small', false],
  ] as const) {
    for (let draw = 0; ; draw++) {
      const found = sample(graphs.forward, sizing, `${seed} ${draw} ${isElementwise}`, turn + draw);
      if (!found) return;
      try {
        for (const check of checkDerivation(graphs, found, isElementwise))
          add({ ...check, column: 'interpret', tolerance: differencesTolerance });
        break;
      } catch (error) {
        if (!(error instanceof NotSmooth)) throw error;
        if (draw < draws) continue;
        const why = 'found no inputs where difference quotients settle: a kink is always near';
        add({ ...problemOf('backward', '', why), column: 'interpret' });
        break;
      }
    }
  }
}

/** The orders of convergence at one sample, another one where a kink is too near. */
function verifyOrders(graphs: Graphs, seed: string, turn: number, add: Add): void {
  for (let draw = 0; draw <= draws; draw++) {
    const found = sample(graphs.forward, 'small', `${seed} order ${draw}`, turn + draw);
    if (!found) return;
    const all = convergenceOf(graphs, found);
    if (draw < draws && all.some(({ order }) => !(order >= leastOrder))) continue;
    for (const convergence of all) add(orderCheck(convergence));
    return;
  }
}

function orderCheck({ what, order, sweep }: Convergence): Omit<Check, 'op' | 'variant'> {
  const isRight = order >= leastOrder;
  const errors = sweep.map(({ step, error }) => `${error.toExponential(1)} at ${step}`).join(', ');
  return {
    ...problemOf(what, '', `difference quotients converge with order ${order.toFixed(2)}, not 2: ${errors}`),
    column: orderColumn,
    verdict: Number.isFinite(order) ? order.toFixed(2) : 'exact',
    sweep,
    tolerance: 2 - leastOrder,
    error: isRight ? Math.max(0, 2 - order) : Number.POSITIVE_INFINITY,
  };
}

async function verifyKernels(
  graphs: Graphs,
  samples: readonly Sample[],
  columns: readonly Column[],
  add: Add,
): Promise<void> {
  const { entry } = graphs.forward;
  for (const one of samples) {
    const expected = expectedOf(graphs, one);
    for (const { name, engine, ops } of columns)
      for (const check of await checkKernels(expected, ops.get(entry.name)!, engine, entry.generate))
        add({ ...check, column: name });
  }
}

/** Runs work a few at a time, since a GPU driver compiles kernels on all cores while nobody waits for one of them. */
function createPool() {
  const running = new Set<Promise<void>>();
  const most = availableParallelism() + 1;
  let failed: { readonly error: unknown } | undefined;
  const throwFailure = (): void => {
    if (failed) throw failed.error;
  };
  const start = async (work: () => Promise<void>): Promise<void> => {
    const mine: Promise<void> = work()
      .catch((error: unknown) => {
        failed ??= { error };
      })
      .finally(() => running.delete(mine));
    running.add(mine);
    while (running.size >= most) await Promise.race(running);
    throwFailure();
  };
  const done = async (): Promise<void> => {
    await Promise.all(running);
    throwFailure();
  };
  return Object.assign(start, { done });
}
