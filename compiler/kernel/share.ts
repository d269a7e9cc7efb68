/**
 * Variants that differ by absent tensors share CPU kernels: the one for more tensors runs the others too, where it then
 * computes the same and no loop over elements does more.
 */
import type { Axes } from '../graph/axes.ts';
import { number } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import { transform } from '../graph/rebuild.ts';
import type { Program } from '../schedule/program.ts';
import type { Entry, Variant } from '../spec/spec.ts';
import { codesOf, operandsOf } from './collect.ts';
import { type Calls, guard, needsOf, type Optional } from './guard.ts';
import type { Binding, Kernel, Role, Statement } from './kernel.ts';

/** A direction of a variant, with the kernel that was made for it alone. */
export interface Use {
  readonly variant: Variant;
  readonly program: Program;
  readonly kernel: Kernel;
}

interface Group<U extends Use> {
  readonly general: U;
  readonly uses: U[];
}

/** The kernel for each of some uses, all of one direction and layout. */
export function shareKernels<U extends Use>(entry: Entry, uses: readonly U[]): Map<U, Kernel> {
  const groups: Group<U>[] = [];
  const bySize = [...uses].sort((a, b) => b.kernel.bindings.length - a.kernel.bindings.length);
  for (const use of bySize) {
    const group = groups.find(({ general }) => isCase(entry, use, general));
    if (group) group.uses.push(use);
    else groups.push({ general: use, uses: [use] });
  }
  return new Map(
    groups.flatMap((group) => {
      const kernel = kernelOf(entry, group);
      return group.uses.map((use): [U, Kernel] => [use, kernel]);
    }),
  );
}

const ofArguments: ReadonlySet<Role> = new Set(['input', 'state', 'tangent', 'cotangent2', 'second']);

/** Whether a use passes a tensor, as the runtime decides it too. */
function passes({ variant, program }: Use, { role, of }: Pick<Binding, 'role' | 'of'>): boolean {
  if (role === 'gradient') return program.wrt.includes(of);
  return !ofArguments.has(role) || (variant.given.get(of) ?? true);
}

/** What is read where a tensor is absent: its value, no change of it, or nothing that matters. */
const absentValue = (entry: Entry, { role, of }: Pick<Binding, 'role' | 'of'>): number =>
  (role === 'input' && entry.absent.get(of)) || 0;

/** Whether the kernel of one use does just what another's does, with the tensors that this one passes. */
function isCase(entry: Entry, use: Use, general: Use): boolean {
  const named = new Set(use.kernel.bindings.map(keyOf));
  const isBound = (binding: Binding): boolean => named.has(keyOf(binding)) === passes(use, binding);
  return (
    general.kernel.bindings.every(isBound) &&
    named.size === general.kernel.bindings.filter((binding) => passes(use, binding)).length &&
    computesSame(entry, use, general) &&
    costsSame(use, general)
  );
}

const keyOf = ({ role, of, axes, access }: Binding): string => [role, of, ...axes, access].join(' ');

function computesSame(entry: Entry, { variant, program }: Use, general: Use): boolean {
  if (general.program === program) return true;
  const isGiven = (of: string): boolean => variant.given.get(of) ?? true;
  const withoutAbsent = (e: Expr): Expr =>
    e.op === 'input' && ofArguments.has(e.role as Role) && !isGiven(e.of) ? number(absentValue(entry, e)) : e;
  const mates = program.outputs.map(({ role, of }) =>
    general.program.outputs.find((output) => output.role === role && output.of === of),
  );
  if (mates.some((mate) => !mate)) return false;
  const exprs = transform(
    mates.map((mate) => mate!.expr),
    withoutAbsent,
  );
  return program.outputs.every(({ expr }, i) => exprs[i] === expr);
}

function costsSame(use: Use, general: Use): boolean {
  if (general.kernel === use.kernel) return true;
  const { body, bindings } = general.kernel;
  const needs = needsOf(body, new Map(written(bindings).map((b) => [b.name, passes(use, b) ? 1n : 0n])));
  const absent = new Set(bindings.filter((b) => !passes(use, b)).map(({ name }) => name));
  const own = workOf(use.kernel.body, () => true);
  const shared = workOf(body, (s) => needs(s) !== 0n, absent);
  const isSame = shared !== undefined && own!.join('\n') === shared.join('\n');
  return isSame && reduced(general.kernel) === reduced(use.kernel);
}

/** What a kernel reports to reduce, whatever of. */
const reduced = ({ reductions }: Kernel): string =>
  reductions.map(({ op, over }) => `${op} ${over.join(' ')}`).join('\n');

const written = (bindings: readonly Binding[]): readonly Binding[] =>
  bindings.filter(({ access }) => access !== 'read');

/**
 * What each loop over elements does in a turn, besides arithmetic, which hides behind reads, or undefined where it would
 * look for a tensor that is absent.
 */
function workOf(
  body: readonly Statement[],
  isNeeded: (s: Statement) => boolean,
  absent: ReadonlySet<string> = new Set(),
): string[] | undefined {
  const loops: string[] = [];
  let isFree = true;
  const count = (list: readonly Statement[]): string => {
    const counts = { load: 0, store: 0, assign: 0, call: 0 };
    for (const s of list) {
      if (s.do === 'store' || s.do === 'assign') counts[s.do]++;
      const pending = [...codesOf(s)];
      for (const code of pending) {
        if (code.code === 'load') counts.load++;
        if (code.code === 'load' && absent.has(code.array)) isFree = false;
        if (/call|sqrt/.test(code.code)) counts.call++;
        pending.push(...operandsOf(code));
      }
    }
    return Object.values(counts).join(' ');
  };
  const walk = (list: readonly Statement[], around: readonly string[], isElements: boolean): void => {
    for (const s of list) {
      if (!('body' in s) || !isNeeded(s)) continue;
      const axes: Axes = 'axes' in s ? [...around, ...s.axes] : around;
      const isLoop = isElements || s.do === 'lanes';
      if (isLoop && s.do !== 'outlined' && !s.body.some((inner) => 'body' in inner))
        loops.push(`${axes.join(' ')}: ${count(s.body)}`);
      walk(s.body, axes, isLoop);
    }
  };
  walk(body, [], false);
  return isFree ? loops : undefined;
}

function kernelOf(entry: Entry, { general, uses }: Group<Use>): Kernel {
  const { kernel } = general;
  const callsOf = (binding: Binding): Calls =>
    uses.reduce((calls, use, i) => (passes(use, binding) ? calls | (1n << BigInt(i)) : calls), 0n);
  const all = (1n << BigInt(uses.length)) - 1n;
  const isOptional = (binding: Binding): boolean => callsOf(binding) !== all;
  if (!kernel.bindings.some(isOptional)) return kernel;
  const optional = kernel.bindings.filter(isOptional).map((binding): Optional => {
    return { name: binding.name, calls: callsOf(binding), absent: absentValue(entry, binding) };
  });
  const needs = needsOf(kernel.body, new Map(written(kernel.bindings).map((b) => [b.name, callsOf(b)])));
  return {
    ...kernel,
    bindings: kernel.bindings.map((binding) =>
      isOptional(binding) ? { ...binding, optional: true } : binding,
    ),
    body: guard(kernel.body, needs, optional, all),
  };
}
