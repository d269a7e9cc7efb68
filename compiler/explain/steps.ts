/** Rewrites as the lines of a derivation, each with its rule. */
import type { Step } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import { type Block, equation, listOf, paragraph } from './document.ts';
import type { Notation } from './notation.ts';
import { shareLong } from './share.ts';

/** More rewrites of one gradient than this are counted rather than shown. */
const mostSteps = 16;

/** Rewrites, inner ones after the ones they belong to, with what is long and repeated named first. */
export function stepBlocks(
  steps: readonly Step[],
  write: (e: Expr) => Notation,
  fresh: (base: string) => string,
): Block[] {
  const flat: { step: Step; depth: number }[] = [];
  const flatten = (list: readonly Step[], depth: number): void => {
    for (const step of list) {
      flat.push({ step, depth });
      flatten(step.inner, depth + 1);
    }
  };
  flatten(steps, 0);
  const shown = flat.slice(0, mostSteps);
  const shared = shareLong(
    shown.flatMap(({ step }) => [write(step.before), write(step.after)]),
    fresh,
  );
  const rows = [
    ...shared.definitions.map(({ name, of }) => equation(name, of)),
    ...shown.map(({ step, depth }, i) =>
      equation(shared.roots[2 * i]!, shared.roots[2 * i + 1]!, {
        relation: '→',
        depth,
        notes: [{ rule: step.rule, text: [step.identity] }],
      }),
    ),
  ];
  const left = new Map<string, number>();
  for (const { step } of flat.slice(mostSteps)) left.set(step.rule, (left.get(step.rule) ?? 0) + 1);
  const words = [...left].map(([rule, n]) => `${rule} (${n})`);
  return [
    { is: 'equations', rows },
    ...(words.length > 0 ? [paragraph('And further, by the same rules: ', ...listOf(words), '.')] : []),
  ];
}
