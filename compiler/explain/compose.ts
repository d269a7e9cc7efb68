/** A derivation put into words and formulas: forward, then by direction what is done by hand, the algebra of each result, kernels. */
import type { Expr } from '../graph/expr.ts';
import type { Variant } from '../spec/spec.ts';
import { byHandBlocks } from './by-hand.ts';
import type { Derivation } from './derivation.ts';
import { type Block, equation, heading, listOf, paragraph } from './document.ts';
import { kernelBlocks } from './kernels.ts';
import type { Part } from './part.ts';
import { inputNodes } from './plan.ts';
import { resultBlocks } from './result.ts';
import { stepBlocks } from './steps.ts';
import type { NamedValue } from './values.ts';
import { type Writer, writerFor } from './writer.ts';

/** The sections of one variant; `id` makes their anchors unique in a document of several. */
export function variantBlocks(derivation: Derivation, id: string): Block[] {
  const { parts } = derivation;
  const partBlocks = ({ lemma, ...part }: Part, i: number): Block[] => {
    const writer = writerFor(derivation, id, part.start);
    const isNew = parts.slice(0, i).every((earlier) => earlier.lemma?.mode !== lemma?.mode);
    return [
      ...byHandBlocks({ ...part, ...(lemma && isNew && { lemma }) }, writer),
      ...part.results.flatMap((result) => resultBlocks(result, part, derivation, writer)),
      ...kernelBlocks(part, derivation, writer),
    ];
  };
  return [...forwardBlocks(derivation, writerFor(derivation, id)), ...parts.flatMap(partBlocks)];
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
  const { entry, values, constants, forwardSteps, named } = derivation;
  const place = (of: NamedValue): number => entry.forward.findIndex(({ name }) => name === of.name);
  const rows = [...values.filter(({ isAuthored }) => isAuthored), ...constants]
    .sort((a, b) => place(a) - place(b))
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
