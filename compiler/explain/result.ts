/** The section on one result: what it goes through, the algebra, the final formula, claims, costs. */
import { isNumber } from '../graph/build.ts';
import { tensorName } from '../graph/print.ts';
import { costProse, savedProse } from './costs.ts';
import type { Derivation } from './derivation.ts';
import { type Block, type Equation, equation, heading, type Inline, listOf, paragraph } from './document.ts';
import { formulaNotation } from './from-formula.ts';
import { nameNotation } from './notation.ts';
import type { Part, Result } from './part.ts';
import type { Plan } from './plan.ts';
import { shareLong } from './share.ts';
import { stepBlocks } from './steps.ts';
import { words } from './words.ts';
import type { Writer } from './writer.ts';

export function resultBlocks(result: Result, part: Part, derivation: Derivation, writer: Writer): Block[] {
  const { name, steps, plan, expr } = result;
  const { id, write, fresh, inOrder } = writer;
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
  const costs = [
    ...savedProse(plan, words[part.direction].reader, inOrder),
    ...costProse(plan, derivation.entry),
  ];
  return [
    heading(2, `The ${words[part.direction].result} ${name}`, `${id}-${name}`),
    ...flowBlocks(result, part),
    ...(result.isReached ? algebra : []),
    paragraph(
      isNumber(expr, 0)
        ? 'The kernels write zeros:'
        : 'With common factors taken out, as the kernels compute it:',
    ),
    { is: 'equations', rows: resultRows(plan, writer, derivation) },
    ...claimBlocks(result, derivation),
    ...(isNumber(expr, 0) ? [] : costs.map((content) => paragraph(...content))),
  ];
}

/** What the result does not go through, and what it does. */
function flowBlocks({ of, flow, isReached }: Result, { direction, handed, start, results }: Part): Block[] {
  const names = (list: readonly string[]): Inline[] => listOf(list.map(nameNotation));
  const { nothing, share } = words[direction];
  const ends = names(handed.map((one) => one.of));
  if (!isReached) return [paragraph(...nothing(nameNotation(of), ends))];
  const isJvp = direction === 'jvp';
  const blocks: Block[] = [];
  const { independent } = flow;
  if (independent.length > 0) {
    const one = independent.length === 1;
    const verb = one ? ' does not depend on ' : ' do not depend on ';
    const rest = one
      ? `: it is constant here, has no ${share}, and contributes nothing.`
      : `: they are constant here, have no ${share}s, and contribute nothing.`;
    blocks.push(paragraph(...names(independent), verb, ...(isJvp ? ends : [nameNotation(of)]), rest));
  }
  // what is differentiated ends the way
  const last = start.length > 0 || isJvp ? results.map((result) => result.of) : [];
  const outer = new Set([...last, ...handed.map((one) => one.of)]);
  const between = flow.dependent.filter((value) => !outer.has(value));
  if (between.length > 0) {
    const one = between.length === 1;
    const way = isJvp
      ? [...ends, handed.length === 1 ? ' acts on ' : ' act on ', nameNotation(of), ' through ']
      : [nameNotation(of), ' acts through '];
    const rest = one ? ', which hands its part on.' : ', and each of them hands its part on.';
    blocks.push(paragraph(...way, ...names(between), rest));
  }
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
  const left = [
    ...stored,
    ...program.outputs.map(({ role, of, axes }) => ({ name: tensorName(role, of), axes })),
  ];
  return [
    ...shared.definitions.map(({ name, of }) => equation(name, of)),
    ...left.map(({ name, axes }, i) => equation(name, shared.roots[i]!, { axes: inOrder(axes) })),
  ];
}

function claimBlocks({ name, claim }: Result, { variant }: Derivation): Block[] {
  if (!claim) return [];
  const absent = [...variant.given].flatMap(([of, isGiven]) => (isGiven ? [] : [of, `${of}_t`, `v_${of}`]));
  const written = formulaNotation(claim.named.formula, variant, (part) => absent.includes(part));
  if (!written) return [];
  const { verdict } = claim;
  const words = {
    proved: 'The spec claims the following, which is proved to be the same:',
    agrees: `The spec claims the following, which is the same to ${'digits' in verdict ? verdict.digits : 0} digits:`,
    refuted: 'The spec claims the following, which is wrong:',
    undecided: 'The spec claims the following, which could not be compared:',
  };
  return [paragraph(words[verdict.verdict]), { is: 'equations', rows: [equation(name, written)] }];
}
