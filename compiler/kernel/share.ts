/**
 * Variants that differ by absent tensors share CPU kernels, and so do calls that want other gradients: the kernel for
 * more tensors runs the others too, where it then computes the same and no loop over elements does more.
 */
import type { Axes } from '../graph/axes.ts';
import { number } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import { transform } from '../graph/rebuild.ts';
import type { Program } from '../schedule/program.ts';
import type { Entry, Variant } from '../spec/spec.ts';
import { arraysIn, eachCode, eachStatement } from './collect.ts';
import { type Calls, guard, needsOf, type Optional } from './guard.ts';
import type { Binding, Kernel, Role, Statement } from './kernel.ts';

/** A direction of a variant, with the kernel that was made for it alone. */
export interface Use {
  readonly variant: Variant;
  readonly program: Program;
  readonly kernel: Kernel;
}

/** The kernel for each of some uses, all of one direction and layout. */
export function shareKernels<U extends Use>(entry: Entry, uses: readonly U[]): Map<U, Kernel> {
  const groups: { general: U; uses: U[] }[] = [];
  const bySize = [...uses].sort((a, b) => b.kernel.bindings.length - a.kernel.bindings.length);
  for (const use of bySize) {
    const group = groups.find(({ general }) => isCase(entry, use, general));
    if (group) group.uses.push(use);
    else groups.push({ general: use, uses: [use] });
  }
  return new Map(
    groups.flatMap(({ general, uses: members }) => {
      const kernel = kernelFor(entry, members, general.kernel);
      return members.map((use): [U, Kernel] => [use, kernel]);
    }),
  );
}

const ofArguments: ReadonlySet<Role> = new Set(['input', 'state', 'tangent', 'cotangent2', 'second']);

/** Whether a use passes a tensor, as the runtime decides it too. */
const passes = ({ variant, program }: Use, { role, of }: Binding): boolean =>
  role === 'gradient' ? program.wrt.includes(of) : !ofArguments.has(role) || (variant.given.get(of) ?? true);

/** Whether a kernel, with what a use passes, does just what the use's own does. */
function isCase(entry: Entry, use: Use, general: Use): boolean {
  const own = new Set(use.kernel.bindings.map(keyOf));
  const passed = general.kernel.bindings.filter((binding) => passes(use, binding)).map(keyOf);
  return (
    passed.length === own.size &&
    passed.every((key) => own.has(key)) &&
    computesSame(entry, use, general) &&
    costsSame(use, general)
  );
}

const keyOf = ({ role, of, axes, access }: Binding): string => [role, of, ...axes, access].join(' ');

/** What is read where a tensor is absent: its value, no change of it, or nothing that matters. */
const absentValue = (
  { absent }: Entry,
  { role, of }: { readonly role: string; readonly of: string },
): number => ((role === 'input' || role === 'state') && absent.get(of)) || 0;

function computesSame(entry: Entry, { variant, program }: Use, { program: general }: Use): boolean {
  if (general === program) return true;
  const isAbsent = (of: string): boolean => variant.given.get(of) === false;
  const withoutAbsent = (e: Expr): Expr =>
    e.op === 'input' && ofArguments.has(e.role as Role) && isAbsent(e.of) ? number(absentValue(entry, e)) : e;
  const mates = program.outputs.flatMap(({ role, of }) =>
    general.outputs.filter((output) => output.role === role && output.of === of),
  );
  const exprs = transform(
    mates.map(({ expr }) => expr),
    withoutAbsent,
  );
  return program.outputs.every(({ expr }, i) => exprs[i] === expr);
}

const isWritten = ({ access }: Binding): boolean => access !== 'read';

function costsSame(use: Use, general: Use): boolean {
  const { body, bindings } = general.kernel;
  if (general.kernel === use.kernel) return true;
  const passed = bindings.filter((binding) => passes(use, binding));
  const needs = needsOf(body, new Map(passed.filter(isWritten).map(({ name }) => [name, 1n])));
  const absent = bindings.filter((binding) => !passed.includes(binding));
  const isNeeded = (s: Statement): boolean => needs(s) !== 0n;
  const isFree = absent.every(
    ({ name }) => !searches(body, name, isNeeded) && !handsOver(body, name, isNeeded),
  );
  return (
    isFree &&
    workOf(body, isNeeded) === workOf(use.kernel.body, () => true) &&
    reportOf(general.kernel) === reportOf(use.kernel)
  );
}

/** What the manifest says of a kernel: over what it reduces, and how often it touches the largest tensors. */
function reportOf({ reductions, traffic, bindings }: Kernel): string {
  const most = Math.max(...bindings.map(({ axes }) => axes.length));
  const large = bindings.flatMap(({ axes, name }) => (axes.length === most ? [name] : []));
  return [
    ...new Set(reductions.map(({ op, over }) => `${op} ${over.join(' ')}`)),
    ...traffic.filter(({ name }) => large.includes(name)).map((t) => `${t.name} ${t.reads} ${t.writes}`),
  ]
    .sort()
    .join('\n');
}

/** Calls `visit` on the innermost loops over elements, and with the axes of all loops around. */
function eachInnermost(
  body: readonly Statement[],
  isNeeded: (s: Statement) => boolean,
  visit: (body: readonly Statement[], axes: Axes) => void,
): void {
  const walk = (list: readonly Statement[], around: Axes, isInside: boolean): void => {
    for (const s of list) {
      if (!('body' in s) || !isNeeded(s)) continue;
      const axes = 'axes' in s ? [...around, ...s.axes] : around;
      const isOfElements = isInside || s.do === 'lanes';
      const isInnermost = !s.body.some((inner) => 'body' in inner);
      if (isOfElements && isInnermost) visit(s.body, axes);
      else walk(s.body, axes, isOfElements);
    }
  };
  walk(body, [], false);
}

/** What each loop over elements does in a turn, besides arithmetic, which hides behind what it reads. */
function workOf(body: readonly Statement[], isNeeded: (s: Statement) => boolean): string {
  const loops: string[] = [];
  eachInnermost(body, isNeeded, (inner, axes) => {
    const counts = { load: 0, store: 0, call: 0 };
    eachStatement(inner, (s) => s.do === 'store' && counts.store++);
    eachCode(inner, ({ code }) => {
      if (code === 'load') counts.load++;
      if (code === 'call' || code === 'sqrt' || code === 'rsqrt') counts.call++;
    });
    loops.push([...axes, ...Object.values(counts)].join(' '));
  });
  return loops.join('\n');
}

/** Whether a loop over elements would have to look in every turn whether an array is there. */
function searches(body: readonly Statement[], array: string, isNeeded: (s: Statement) => boolean): boolean {
  let isFound = false;
  eachInnermost(body, isNeeded, (inner) => {
    isFound ||= arraysIn(inner).has(array);
  });
  return isFound;
}

/** Whether something is stored into an array to be read from there. */
function handsOver(body: readonly Statement[], array: string, isNeeded: (s: Statement) => boolean): boolean {
  let isFound = false;
  eachStatement(body, (s) => {
    isFound ||= s.do === 'store' && s.array === array && isNeeded(s);
  });
  return isFound;
}

function kernelFor(entry: Entry, uses: readonly Use[], kernel: Kernel): Kernel {
  const all = (1n << BigInt(uses.length)) - 1n;
  const callsOf = (binding: Binding): Calls =>
    uses.reduce((calls, use, i) => (passes(use, binding) ? calls | (1n << BigInt(i)) : calls), 0n);
  const optional = kernel.bindings.flatMap((binding): Optional[] => {
    const calls = callsOf(binding);
    return calls === all ? [] : [{ name: binding.name, calls, absent: absentValue(entry, binding) }];
  });
  if (optional.length === 0) return kernel;
  const written = kernel.bindings.filter(isWritten);
  const needs = needsOf(kernel.body, new Map(written.map((b) => [b.name, callsOf(b)])));
  return {
    ...kernel,
    bindings: kernel.bindings.map((binding) =>
      optional.some(({ name }) => name === binding.name) ? { ...binding, optional: true } : binding,
    ),
    body: guard(kernel.body, needs, optional, all),
  };
}
