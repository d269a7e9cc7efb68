/** What a plan costs, in sentences: what is kept from forward, reductions, passes over the data. */
import { isFullSize } from '../emit/package.ts';
import type { Entry } from '../spec/spec.ts';
import { type Inline, joinedBy, listOf, numberWord, plural } from './document.ts';
import type { InOrder } from './from-expr.ts';
import { nameNotation } from './notation.ts';
import { inputNodes, type Plan, reductionCount } from './plan.ts';

/** What forward has to keep, and which arguments are read again; `reader` is the direction that does. */
export function savedProse({ saved, program }: Plan, reader: string, inOrder: InOrder): Inline[][] {
  const inputs = inputNodes(program.outputs.map(({ expr }) => expr)).filter(({ role }) => role === 'input');
  const sentences: Inline[] = [];
  const kept = (isReturn: boolean): Inline[] =>
    joinedBy(
      saved
        .filter(({ expr }) => (expr === undefined) === isReturn)
        .map(({ name, axes }): Inline[] =>
          axes.length === 0 ? [nameNotation(name)] : [nameNotation(name), ` [${inOrder(axes).join(', ')}]`],
        ),
    );
  const [returned, stored] = [kept(true), kept(false)];
  if (stored.length > 0) sentences.push('Forward saves ', ...stored, '. ');
  if (returned.length > 0) sentences.push(`${reader} reads `, ...returned, ', returned by forward anyway. ');
  if (saved.length === 0) sentences.push('Nothing is saved by forward. ');
  if (inputs.length > 0)
    sentences.push(
      'Of the arguments, ',
      ...listOf(inputs.map(({ of }) => nameNotation(of))),
      inputs.length === 1 ? ' is read again.' : ' are read again.',
    );
  else sentences.push('No argument is read again.');
  return [sentences];
}

const times = ['never', 'once', 'twice'];

/** Reductions, passes, and how often full-size tensors are read and written. */
export function costProse(plan: Plan, entry: Entry): Inline[][] {
  const reductions = reductionCount(plan);
  const passes = plan.stages.filter(({ kind }) => kind === 'reduce').length;
  const isFull = isFullSize(entry);
  const traffic = { reads: new Map<number, string[]>(), writes: new Map<number, string[]>() };
  const totals = new Map<string, { reads: number; writes: number }>();
  for (const { kernel } of plan.gpu) {
    const full = new Set(kernel.bindings.filter(isFull).map(({ name }) => name));
    for (const { name, reads, writes } of kernel.traffic) {
      if (!full.has(name)) continue;
      const total = totals.get(name) ?? { reads: 0, writes: 0 };
      totals.set(name, { reads: total.reads + reads, writes: total.writes + writes });
    }
  }
  for (const [name, total] of totals) {
    for (const kind of ['reads', 'writes'] as const) {
      const n = total[kind];
      if (n > 0) traffic[kind].set(n, [...(traffic[kind].get(n) ?? []), name]);
    }
  }
  const phrase = (kind: 'reads' | 'writes'): Inline[][] =>
    [...traffic[kind]].map(([n, names]) => [
      ...listOf(names.map(nameNotation)),
      ` ${times[n] ?? `${n} times`}`,
    ]);
  const joined = (phrases: Inline[][]): Inline[] =>
    phrases.flatMap((phrase, i) => (i === 0 ? phrase : [', ', ...phrase]));
  const sentence: Inline[] = [
    `${capital(plural(reductions, 'reduction'))}${
      passes > 1
        ? ` in ${numberWord(passes)} passes, one after the other`
        : passes === 1 && reductions > 1
          ? ' in one pass'
          : ''
    }; ${plural(plan.gpu.length, 'GPU kernel')}.`,
  ];
  if (totals.size > 0) {
    sentence.push(' Of the large tensors, ');
    const [read, written] = [phrase('reads'), phrase('writes')];
    if (read.length > 0) sentence.push('the kernels read ', ...joined(read));
    if (read.length > 0 && written.length > 0) sentence.push(' and write ', ...joined(written));
    else if (written.length > 0) sentence.push('the kernels write ', ...joined(written));
    sentence.push('.');
  }
  return [sentence];
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
