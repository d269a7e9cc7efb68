/** A derivation put into words and formulas: forward, reverse mode, the algebra of each gradient, kernels. */
import type { Step } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import type { Variant } from '../spec/spec.ts';
import { namer } from './algebra.ts';
import { costProse, savedProse } from './costs.ts';
import type { Derivation, Gradient } from './derivation.ts';
import {
  type Block,
  type Equation,
  equation,
  heading,
  type Inline,
  listOf,
  type Note,
  paragraph,
} from './document.ts';
import type { InOrder } from './from-expr.ts';
import { formulaNotation } from './from-formula.ts';
import { kernelBlocks } from './kernels.ts';
import type { Lemma } from './lemma.ts';
import { type Notation, nameNotation } from './notation.ts';
import { inputNodes, type Plan } from './plan.ts';
import type { Share } from './reverse.ts';
import { shareLong } from './share.ts';
import { type Writer, writerFor } from './writer.ts';

/** More rewrites of one gradient than this are counted rather than shown. */
const mostSteps = 16;

/** The sections of one variant; `id` makes their anchors unique in a document of several. */
export function variantBlocks(derivation: Derivation, id: string): Block[] {
  const writer = writerFor(derivation, id);
  return [
    ...forwardBlocks(derivation, writer),
    ...reverseBlocks(derivation, writer),
    ...derivation.gradients.flatMap((gradient) => gradientBlocks(gradient, derivation, writer)),
    ...kernelBlocks(derivation, writer),
  ];
}

/** The choices of a variant in words: `training, with weight and bias, without running_mean`; nothing where there is no choice. */
export function variantWords({ flags, given }: Variant): string {
  const chosen = (map: ReadonlyMap<string, boolean>, value: boolean): string[] =>
    [...map].filter(([, v]) => v === value).map(([name]) => name);
  const words = [...flags].map(([name, value]) => (value ? name : `not ${name}`));
  const [present, absent] = [chosen(given, true), chosen(given, false)];
  if (present.length > 0) words.push(`with ${listOf(present).join('')}`);
  if (absent.length > 0) words.push(`without ${listOf(absent).join('')}`);
  return words.join('; ');
}

function forwardBlocks(derivation: Derivation, { id, inOrder, write, fresh }: Writer): Block[] {
  const { values, forwardSteps, named } = derivation;
  const rows = values
    .filter(({ isAuthored }) => isAuthored)
    .map(({ name, node, expr, written }) =>
      equation(name, written ?? write(expr), { axes: inOrder(node.axes) }),
    );
  const given = values.filter(({ isAuthored }) => !isAuthored).map(({ node }) => node);
  const renamed = values.filter(
    ({ node, expr, written }) => given.includes(node) || (written && given.some((part) => reads(expr, part))),
  );
  const blocks: Block[] = [heading(2, 'Forward', `${id}-forward`), { is: 'equations', rows }];
  if (renamed.length > 0)
    blocks.push(
      paragraph('What is reduced inside a formula, or used more than once, gets a name of its own:'),
      {
        is: 'equations',
        rows: renamed.map(({ name, node, expr }) =>
          equation(name, write(expr), { axes: inOrder(node.axes) }),
        ),
      },
    );
  if (forwardSteps.length > 0)
    blocks.push(
      paragraph('Already here, sums are simplified as they are built:'),
      ...stepBlocks(forwardSteps, (e) => write(named(e)), fresh()),
    );
  return blocks;
}

const reads = (e: Expr, node: Expr): boolean => inputNodes([e]).some((part) => part === node);

function reverseBlocks({ forward, reverse, lemma }: Derivation, writer: Writer): Block[] {
  const { id, inOrder, write, fresh } = writer;
  const seeds = forward.returns.filter((r) => r.differentiable);
  const handed = seeds.flatMap(({ name }, i): Inline[] => [
    i === 0 ? '' : i < seeds.length - 1 ? ', ' : ' and ',
    nameNotation(`grad_${name}`),
    ', the derivative of the loss by ',
    nameNotation(name),
  ]);
  const intro = [
    'The caller hands in ',
    ...handed,
    '. From there back, the gradient of a value is the sum of what each of its users hands on, by the rule of the ',
    'operation; along axes where the value was repeated, that is summed.',
  ];
  const shared = shareLong(
    reverse.cotangents.map(({ expr }) => write(expr)),
    fresh(),
  );
  const rows = [
    ...shared.definitions.map(({ name, of }) => equation(name, of)),
    ...reverse.cotangents.map(({ name, axes, shares }, i) =>
      equation(name, shared.roots[i]!, {
        axes: inOrder(axes),
        notes: shares.map((share) => shareNote(share, inOrder)),
      }),
    ),
  ];
  const blocks: Block[] = [
    heading(2, 'Reverse mode', `${id}-reverse`),
    paragraph(...intro),
    rows.length === 0
      ? paragraph('No argument that can have a gradient reaches a return.')
      : { is: 'equations', rows },
  ];
  return lemma ? [...blocks, ...lemmaBlocks(lemma, writer)] : blocks;
}

function shareNote({ from, rules, over, isZero }: Share, inOrder: InOrder): Note {
  const text: Inline[] = ['from ', nameNotation(from)];
  if (rules.length > 0)
    text.push(`: ${rules.map(({ name, identity }) => `${name}, ${identity}`).join('; ')}`);
  if (over.length > 0) text.push(`; summed over ${inOrder(over).join(', ')}, where it was repeated`);
  if (isZero) text.push('; nothing is left of it');
  return { text };
}

/** A variance's row, derived from the definition. */
function lemmaBlocks(lemma: Lemma, { id, inOrder, write, fresh }: Writer): Block[] {
  const named = namer(lemma.values, lemma.scope);
  const rows = (items: readonly { name: string; expr: Expr; axes: readonly string[]; notes?: Note[] }[]) =>
    items.map(({ name, expr, axes, notes = [] }) =>
      equation(name, write(expr), { axes: inOrder(axes), notes }),
    );
  const values = lemma.values.map(({ name, expr, node }) => ({ name, expr, axes: node.axes }));
  const back = lemma.reverse.cotangents.map(({ name, expr, axes, shares }) => ({
    name,
    expr,
    axes,
    notes: shares.map((share) => shareNote(share, inOrder)),
  }));
  return [
    heading(3, 'Why the variance’s rule is so simple', `${id}-variance`),
    paragraph(
      'The variance contains a mean, and yet its rule has no term for it. By definition, for any ',
      nameNotation('a'),
      ':',
    ),
    { is: 'equations', rows: rows(values) },
    paragraph('Reverse mode over the definition:'),
    { is: 'equations', rows: rows(back) },
    paragraph('The part that comes through the mean is a sum of centred values, which is zero:'),
    ...stepBlocks(lemma.steps, (e) => write(named(e)), fresh()),
    paragraph('What is left is the rule:'),
    { is: 'equations', rows: [equation('da', write(named(lemma.gradient)))] },
  ];
}

function gradientBlocks(gradient: Gradient, derivation: Derivation, writer: Writer): Block[] {
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

/** Rewrites, inner ones after the ones they belong to, with what is long and repeated named first. */
function stepBlocks(
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
