/** A derivation put into words and formulas: forward, reverse mode, the algebra of each gradient, kernels. */
import type { Expr } from '../graph/expr.ts';
import type { Variant } from '../spec/spec.ts';
import { namer } from './algebra.ts';
import type { Derivation } from './derivation.ts';
import { type Block, equation, heading, type Inline, listOf, type Note, paragraph } from './document.ts';
import type { InOrder } from './from-expr.ts';
import { gradientBlocks } from './gradient.ts';
import { kernelBlocks } from './kernels.ts';
import type { Lemma } from './lemma.ts';
import { nameNotation } from './notation.ts';
import { inputNodes } from './plan.ts';
import type { Share } from './reverse.ts';
import { shareLong } from './share.ts';
import { stepBlocks } from './steps.ts';
import { type Writer, writerFor } from './writer.ts';

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
    ', the derivative of the final objective by ',
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
