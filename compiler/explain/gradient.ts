import { costProse, savedProse } from './costs.ts';
import type { Derivation, Gradient } from './derivation.ts';
import { type Block, type Equation, equation, heading, type Inline, listOf, paragraph } from './document.ts';
import { formulaNotation } from './from-formula.ts';
import { nameNotation } from './notation.ts';
import type { Plan } from './plan.ts';
import { shareLong } from './share.ts';
import { stepBlocks } from './steps.ts';
import type { Writer } from './writer.ts';

export function gradientBlocks(gradient: Gradient, derivation: Derivation, writer: Writer): Block[] {
  const { of, reverse, steps, plan } = gradient;
  const { id, write, fresh } = writer;
  const name = `d${of}`;
  const returned = derivation.forward.returns.filter((r) => r.differentiable).map((r) => r.name);
  const algebra: Block[] =
    steps.length === 0
      ? [paragraph('No rule of the algebra has anything to do here.')]
      : [
          paragraph(
            'Written over the arguments instead of step by step, every sum is simplified as it is built. ',
            'These rules applied:',
          ),
          ...stepBlocks(steps, (e) => write(derivation.named(e)), fresh()),
        ];
  return [
    heading(2, `The gradient ${name}`, `${id}-${name}`),
    ...independence(of, reverse, returned),
    ...algebra,
    paragraph('With common factors taken out, as the kernels compute it:'),
    { is: 'equations', rows: resultRows(plan, writer, derivation) },
    ...claimBlocks(gradient, derivation),
    ...savedProse(plan, writer.inOrder).map((content) => paragraph(...content)),
    ...costProse(plan, derivation.entry).map((content) => paragraph(...content)),
  ];
}

/** What the gradient does not go through, and what it does. */
function independence(
  of: string,
  { independent, dependent, cotangents }: Gradient['reverse'],
  returned: readonly string[],
): Block[] {
  const names = (list: readonly string[]): Inline[] => listOf(list.map(nameNotation));
  if (cotangents.length === 0)
    return [paragraph('No return depends on ', nameNotation(of), ': its gradient is zero.')];
  const blocks: Block[] = [];
  if (independent.length > 0) {
    const one = independent.length === 1;
    const verb = one ? ' does not depend on ' : ' do not depend on ';
    const rest = one
      ? ': it is constant here, has no gradient, and contributes nothing.'
      : ': they are constant here, have no gradients, and contribute nothing.';
    blocks.push(paragraph(...names(independent), verb, nameNotation(of), rest));
  }
  const between = dependent.filter((value) => !returned.includes(value));
  if (between.length > 0)
    blocks.push(
      paragraph(
        nameNotation(of),
        ' acts through ',
        ...names(between),
        between.length === 1 ? ', which hands its part on.' : ', and each of them hands its part on.',
      ),
    );
  return blocks;
}

/** The formulas of a plan's results, as its kernels collect them. */
function resultRows({ program, saved }: Plan, writer: Writer, { named, values }: Derivation): Equation[] {
  const { collect, write, fresh, inOrder } = writer;
  const isNamed = (name: string): boolean => values.some((value) => value.name === name);
  const stored = saved.flatMap(({ name, axes, expr }) => {
    const meaning = expr && write(named(expr));
    return meaning && !isNamed(name) ? [{ name, axes, meaning }] : [];
  });
  const shared = shareLong(
    [...stored.map(({ meaning }) => meaning), ...program.outputs.map(({ expr }) => collect(expr))],
    fresh(),
  );
  const left = [...stored, ...program.outputs.map(({ of, axes }) => ({ name: `d${of}`, axes }))];
  return [
    ...shared.definitions.map(({ name, of }) => equation(name, of)),
    ...left.map(({ name, axes }, i) => equation(name, shared.roots[i]!, { axes: inOrder(axes) })),
  ];
}

function claimBlocks({ of, claim }: Gradient, { variant, entry }: Derivation): Block[] {
  if (!claim) return [];
  const written = formulaNotation(claim.named.formula, variant, (name) => {
    const argument = entry.arguments.find((candidate) => candidate.name === name);
    return argument !== undefined && variant.given.get(name) === false;
  });
  if (!written) return [];
  const { verdict } = claim;
  const words = {
    proved: 'The spec claims the following, which is proved to be the same:',
    agrees: `The spec claims the following, which is the same to ${'digits' in verdict ? verdict.digits : 0} digits:`,
    refuted: 'The spec claims the following, which is wrong:',
    undecided: 'The spec claims the following, which could not be compared:',
  };
  return [paragraph(words[verdict.verdict]), { is: 'equations', rows: [equation(`d${of}`, written)] }];
}
