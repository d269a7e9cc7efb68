/** The derivation by hand of one direction, put into words and formulas. */
import { namer } from './algebra.ts';
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
import type { TangentLine } from './forward-mode.ts';
import type { InOrder } from './from-expr.ts';
import type { Lemma } from './lemma.ts';
import { nameNotation } from './notation.ts';
import type { Part } from './part.ts';
import type { Cotangent, Share } from './reverse.ts';
import type { RuleName } from './rules.ts';
import { shareLong } from './share.ts';
import { stepBlocks } from './steps.ts';
import { words } from './words.ts';
import type { Writer } from './writer.ts';

type Line = Cotangent | TangentLine;

/** What is handed in, every line with its rules, and why the row of the variance is what it is. */
export function byHandBlocks({ lemma, ...part }: Part, writer: Writer): Block[] {
  const { direction, lines } = part;
  const { title, anchor } = words[direction];
  return [
    heading(2, title, `${writer.id}-${anchor}`),
    ...startBlocks(part, writer),
    ...(part.handed.length > 0 ? [paragraph(...introOf(part))] : []),
    lines.length === 0 ? paragraph(nothingIn(part)) : { is: 'equations', rows: rowsOf(lines, writer) },
    ...(lemma ? lemmaBlocks(lemma, writer, `${writer.id}-${anchor}-variance`) : []),
  ];
}

const nothingLeft = {
  backward: 'No argument that can have a gradient reaches a return.',
  jvp: 'No argument that can have a tangent reaches a return.',
  double_backward: 'No gradient depends on anything: each is a constant.',
};

const nothingIn = ({ direction, handed }: Part): string =>
  direction === 'double_backward' && handed.length === 0
    ? 'No argument can have a gradient, so there is nothing to differentiate.'
    : nothingLeft[direction];

/** The formulas that are differentiated, where the reader has not seen them as they are used here. */
function startBlocks({ start }: Part, { inOrder, write, fresh }: Writer): Block[] {
  if (start.length === 0) return [];
  const shared = shareLong(
    start.map(({ expr }) => write(expr)),
    fresh(),
  );
  const rows = [
    ...shared.definitions.map(({ name, of }) => equation(name, of)),
    ...start.map(({ name, node }, i) => equation(name, shared.roots[i]!, { axes: inOrder(node.axes) })),
  ];
  return [
    paragraph(
      'The gradients are formulas like those of the forward, and are differentiated like them. Here they are with ',
      'all sums simplified; what is reduced in them, or used more than once, has a name of its own:',
    ),
    { is: 'equations', rows },
  ];
}

function introOf({ direction, handed }: Part): Inline[] {
  const of = handed.map(({ of }) => nameNotation(of));
  const names = handed.map(({ name }) => nameNotation(name));
  if (direction === 'jvp')
    return [
      'The caller says how the arguments move: ',
      ...listOf(names),
      ...(names.length === 1
        ? [' is the derivative of ', ...of, ' along that way.']
        : [' are the derivatives of ', ...listOf(of), ' along that way.']),
      ' From there on, the tangent of a value is what the rules of its operations make of the tangents of its ',
      'operands.',
    ];
  return [
    'The caller hands in ',
    ...listOf(names),
    names.length === 1
      ? ', the derivative of the final objective by '
      : ', the derivatives of the final objective by ',
    ...listOf(of),
    direction === 'backward'
      ? '. From there back, the gradient of a value is the sum of what each of its users hands on'
      : '. From there back, as before, a value gets the sum of what each of its users hands on',
    ', by the rule of the operation; along axes where the value was repeated, that is summed.',
  ];
}

function rowsOf(lines: readonly Line[], { inOrder, write, fresh }: Writer): Equation[] {
  const shared = shareLong(
    lines.map(({ expr }) => write(expr)),
    fresh(),
  );
  return [
    ...shared.definitions.map(({ name, of }) => equation(name, of)),
    ...lines.map((line, i) =>
      equation(line.name, shared.roots[i]!, { axes: inOrder(line.axes), notes: notesOn(line, inOrder) }),
    ),
  ];
}

const notesOn = (line: Line, inOrder: InOrder): Note[] =>
  'shares' in line
    ? line.shares.map((share) => shareNote(share, inOrder))
    : line.rules.length > 0
      ? [{ text: [line.rules.map(({ name, identity }) => `${name}, ${identity}`).join('; ')] }]
      : [];

function shareNote({ from, rules, over, isZero }: Share, inOrder: InOrder): Note {
  const text: Inline[] = ['from ', nameNotation(from)];
  if (rules.length > 0) text.push(`: ${rules.map(transposedText).join('; ')}`);
  if (over.length > 0) text.push(`; summed over ${inOrder(over).join(', ')}, where it was repeated`);
  if (isZero) text.push('; nothing is left of it');
  return { text };
}

const transposedText = ({ name, identity, transposed }: RuleName): string =>
  `${name}, ${identity}${transposed === undefined ? '' : `: ${transposed}`}`;

/** A variance's row, derived from the definition. */
function lemmaBlocks(lemma: Lemma, writer: Writer, id: string): Block[] {
  const { inOrder, write, fresh } = writer;
  const named = namer(lemma.values, lemma.scope);
  const definitions = lemma.values.map(({ name, expr, node }) =>
    equation(name, write(expr), { axes: inOrder(node.axes) }),
  );
  const lines = lemma.lines.map((line) =>
    equation(line.name, write(line.expr), { axes: inOrder(line.axes), notes: notesOn(line, inOrder) }),
  );
  const mode = lemma.mode === 'reverse' ? 'Reverse mode' : 'Forward mode';
  return [
    heading(3, 'Why the variance’s rule is so simple', id),
    paragraph(
      'The variance contains a mean, and yet its rule has no term for it. By definition, for any ',
      nameNotation('a'),
      ':',
    ),
    { is: 'equations', rows: definitions },
    paragraph(`${mode} over the definition:`),
    { is: 'equations', rows: lines },
    paragraph('The part that comes through the mean is a sum of centred values, which is zero:'),
    ...stepBlocks(lemma.steps, (e) => write(named(e)), fresh()),
    paragraph('What is left is the rule:'),
    { is: 'equations', rows: [equation(lemma.name, write(named(lemma.result)))] },
  ];
}
