/** One variant of an op on every target, in every layout, direction and gradient subset, at many sizes. */
import { type CallInputs, type Session, startSession } from '../../cli/session.ts';
import { type Forward, lowerEntry } from '../../compiler/graph/formulas.ts';
import type { Entry, Variant } from '../../compiler/spec/spec.ts';
import type { LayoutDescription, OpDescription } from '../../runtime/index.ts';
import { callOf, givenOf, randomLike, type Sizes, sizesOf } from './calls.ts';
import { farthest } from './near.ts';
import {
  backwardAt,
  forwardAt,
  inner,
  isAllowed,
  type Named,
  outputsOf,
  type Point,
  tangentsAt,
} from './oracle.ts';
import { normals, randomOf } from './random.ts';
import { type Compiled, interpreter, type Target, typescript32, typescript64, wasm } from './targets.ts';

/** The sizes at which second derivatives are compared with finite differences, which takes long. */
const secondOrder = ['odd', 'two folded dimensions'];

interface Subject {
  readonly compiled: Compiled;
  readonly forward: Forward;
  readonly sizes: Sizes;
  readonly call: CallInputs;
  readonly cotangents: Named;
  readonly tangents: Named;
  readonly report: (what: string, problem: string | undefined) => void;
}

/** What a target gave for everything that can be asked of it. */
interface Results {
  readonly outputs: Named;
  readonly gradients?: Named;
  readonly tangents?: Named;
  readonly second?: Named;
}

/** The sizes at which float32 targets also compute some gradients without the others. */
const subsets = ['odd', 'even'];
/** How many of these subsets: on a software GPU, most of the time goes into compiling shaders. */
const mostSubsets = 4;

/**
 * The interpreter, which is slow, and with it differences, run where there are no more elements than this in all axes
 * together. Float64 kernels have no other code for more.
 */
const mostInterpreted = 1000;

/**
 * The problems found, each with where; none where all is right. The first variant of an entry (`k` is 0) is checked at
 * all sizes, the others at some of them each.
 */
export async function check(
  compiled: Compiled,
  entry: Entry,
  variant: Variant,
  gpu: Target,
  k: number,
): Promise<string[]> {
  const forward = lowerEntry(entry, variant);
  const returns = entry.returns.filter(({ differentiable }) => differentiable);
  const wrt = givenOf(forward).filter(({ differentiable }) => differentiable);
  const some = sizesOf(entry).filter((_, i) => k === 0 || i === 0 || i % 4 === k % 4);
  // at the same time, since most of the time is spent waiting for the GPU
  const problems = await Promise.all(
    some.map(async (sizes) => {
      const found: string[] = [];
      const report = (what: string, problem: string | undefined): void => {
        if (problem) found.push(`${sizes.title}, ${what}: ${problem}`);
      };
      const call = callOf(forward, sizes);
      const cotangents = randomLike(returns, sizes, 'cotangents');
      const tangents = randomLike(wrt, sizes, 'tangents');
      const subject = { compiled, forward, sizes, call, cotangents, tangents, report };
      try {
        if (isAllowed(forward, call, sizes)) await checkCall(subject, gpu);
        else await checkRefused(subject);
      } catch (error) {
        report('all', String(error).split('\n')[0]);
      }
      return found;
    }),
  );
  return problems.flat();
}

const isEmpty = ({ of }: Sizes): boolean => [...of.values()].includes(0);

async function checkRefused({ compiled, forward, call, report }: Subject): Promise<void> {
  const op = compiled.ops.get(forward.entry.name)!;
  const outcome = await startSession(typescript64, op, call).then(
    () => 'it ran',
    (error: Error & { code?: string }) => (error.code === 'requirement' ? undefined : String(error)),
  );
  report('a call that does not meet the requirements', outcome);
}

async function checkCall(subject: Subject, gpu: Target): Promise<void> {
  const { forward, call, sizes, report } = subject;
  const hasNone = isEmpty(sizes);
  const [layout, ...others] = forward.entry.layouts.map((order) => order.join(' '));
  const exact = await resultsOf(subject, typescript64, layout!);
  const compare = (what: string, actual: Named, expected: Named, tolerance: number): void => {
    for (const [name, numbers] of expected) {
      const found = actual.get(name);
      // statistics of no elements are not defined
      const unclear = what.startsWith('interpret') ? [...numbers, ...(found ?? [])] : numbers;
      if (found && hasNone && unclear.some((v) => !Number.isFinite(v))) continue;
      // in float32 what cancels is only as exact as what it cancels from, which is of order one
      const scale = tolerance < 1e-6 ? 0.05 : 1;
      report(`${what} ${name}`, found ? farthest(found, numbers, tolerance, scale) : 'missing');
    }
  };
  compare('typescript f64 forward', exact.outputs, outputsOf(forward, call, sizes), 1e-9);
  const elements = [...sizes.of.values()].reduce((a, b) => a * b, 1);
  if (elements <= mostInterpreted) checkDerivatives(subject, exact);
  const same = (title: string, results: Results, tolerance: number): void => {
    compare(`${title} forward`, results.outputs, exact.outputs, tolerance);
    if (exact.gradients) compare(`${title} gradient of`, results.gradients!, exact.gradients, tolerance);
    if (exact.tangents) compare(`${title} tangent of`, results.tangents!, exact.tangents, tolerance);
    if (exact.second) compare(`${title} second of`, results.second!, exact.second, 5 * tolerance);
  };
  if (elements <= mostInterpreted) same('interpret', await resultsOf(subject, interpreter, layout!), 1e-9);
  for (const order of others)
    same(`typescript f64 [${order}]`, await resultsOf(subject, typescript64, order), 1e-9);
  for (const target of [typescript32, wasm, gpu]) {
    for (const order of [layout!, ...others]) {
      const results = await resultsOf(subject, target, order);
      same(`${target.name} [${order}]`, results, 2e-5);
    }
  }
}

/** Runs everything, each gradient subset included; subsets are compared with all gradients together. */
async function resultsOf(subject: Subject, target: Target, layout: string): Promise<Results> {
  const { compiled, forward, call, sizes, cotangents, tangents, report } = subject;
  const op = compiled[target.of].get(forward.entry.name)!;
  const session = await startSession(target, op, call, layout);
  const outputs = await session.outputs();
  const has = (direction: keyof LayoutDescription): boolean =>
    direction in someLayout(op) && tangents.size > 0;
  let gradients: Named | undefined;
  if (has('backward') && cotangents.size > 0) {
    gradients = await session.gradients(cotangents);
    const isWorthIt = target.dtype === 'f64' || subsets.includes(sizes.title);
    if (target.of === 'ops' && isWorthIt)
      await checkSubsets(session, subject, gradients, `${target.name} [${layout}]`, report);
  }
  const results = {
    outputs,
    ...(gradients && { gradients }),
    ...(has('jvp') && cotangents.size > 0 && { tangents: await session.tangents(tangents) }),
    ...(has('double_backward') && gradients && { second: await session.second(cotangents, tangents) }),
  };
  session.dispose();
  return results;
}

const someLayout = (op: OpDescription): LayoutDescription =>
  Object.values(Object.values(op.variants)[0]!.layouts)[0]!;

async function checkSubsets(
  session: Session,
  { forward: { entry }, cotangents, tangents }: Subject,
  all: Named,
  title: string,
  report: Subject['report'],
): Promise<void> {
  const names = [...tangents.keys()];
  const generated =
    entry.wrt?.map((subset) => subset.filter((name) => names.includes(name))) ??
    (names.length > 4
      ? names.map((name) => [name])
      : Array.from({ length: 2 ** names.length - 2 }, (_, b) => names.filter((_, i) => ((b + 1) >> i) & 1)));
  const most = title.includes('f64') ? generated.length : mostSubsets;
  for (const subset of generated.filter(({ length }) => length > 0).slice(0, most)) {
    const found = await session.gradients(cotangents, subset);
    for (const name of subset) {
      const [tolerance, scale] = title.includes('f64') ? [1e-9, 0.05] : [2e-5, 1];
      const wrong = farthest(found.get(name)!, all.get(name)!, tolerance, scale);
      report(`${title} gradient of ${name} with ${subset.join(', ')}`, wrong);
    }
  }
}

/** The float64 results against finite differences. */
function checkDerivatives(subject: Subject, { gradients, tangents, second }: Results): void {
  const { forward, call, sizes, cotangents, tangents: direction, report } = subject;
  const prefixed = (role: string, named: Named): Named =>
    new Map([...named].map(([name, data]) => [`${role} ${name}`, data]));
  const first = forwardAt(forward, call, sizes);
  const moving = prefixed('input', direction);
  if (gradients) compareGradients(first, cotangents, prefixed('input', gradients), 'gradient of', report);
  if (tangents) {
    const expected = tangentsAt(first, moving);
    for (const [name, numbers] of expected) {
      if (isEmpty(sizes) && numbers.some(Number.isNaN)) continue; // how an extremum of no elements moves
      report(`tangent of ${name}`, farthest(tangents.get(name)!, numbers, 1e-6, 0.05));
    }
  }
  if (!second || !secondOrder.includes(sizes.title)) return;
  const point = backwardAt(forward, call, sizes, cotangents);
  const found = new Map(
    [...second].map(([name, data]) =>
      name.startsWith('grad_') && cotangents.has(name.slice(5))
        ? [`cotangent ${name.slice(5)}`, data]
        : [`input ${name}`, data],
    ),
  );
  compareGradients(point, direction, found, 'second of', report);
}

/** Along a random direction, one tensor at a time: no error hides from that. */
function compareGradients(
  point: Point,
  cotangents: Named,
  found: Named,
  what: string,
  report: Subject['report'],
): void {
  for (const name of found.keys()) {
    const { length } = point.values.get(name)!;
    const direction = new Map([[name, normals(randomOf(name), length)]]);
    const wanted = inner(cotangents, tangentsAt(point, direction));
    if (Number.isNaN(wanted)) continue; // where there are no elements at all
    report(`${what} ${name}`, farthest([inner(direction, found)], [wanted], 1e-6, Math.sqrt(length + 1)));
  }
}
