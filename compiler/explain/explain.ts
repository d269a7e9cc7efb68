/** `explain`: the derivation of an op's derivatives as a document, for a terminal, for LaTeX, or as a page. */
import type { Entry, Variant } from '../spec/spec.ts';
import { variantBlocks, variantWords } from './compose.ts';
import { derive, wantable } from './derivation.ts';
import { type Block, type Document, heading, listOf, paragraph } from './document.ts';
import type { Explained } from './part.ts';

export const formats = ['text', 'latex', 'html'] as const;
export type Format = (typeof formats)[number];

export interface Wanted {
  /** What to differentiate by, each one of `wantable` in every variant; all of those where left out. */
  readonly wrt?: readonly string[];
  /** The backward alone where left out. */
  readonly directions?: readonly Explained[];
}

/** Derives an op in some variants and directions and writes the derivation down. */
export async function explain(
  entry: Entry,
  variants: readonly Variant[],
  format: Format,
  wanted: Wanted = {},
): Promise<string> {
  const document = documentOf(entry, variants, wanted);
  if (format === 'latex') return (await import('./latex.ts')).latexText(document);
  if (format === 'html') return (await import('./html.ts')).htmlPage(document);
  return (await import('./terminal.ts')).terminalText(document);
}

/** The document, whatever it is written as. */
export function documentOf(
  entry: Entry,
  variants: readonly Variant[],
  { wrt, directions = ['backward'] }: Wanted,
): Document {
  const sections = variants.map((variant, i): Block[] => {
    const id = variants.length > 1 ? `variant-${i + 1}` : 'variant';
    const derivation = derive(entry, variant, wrt ?? wantable(entry, variant), directions);
    const blocks = variantBlocks(derivation, id);
    const title = variantWords(variant);
    return variants.length > 1
      ? [heading(1, capital(title), id), ...blocks]
      : [...(title ? [paragraph(`Variant: ${title}.`)] : []), ...blocks];
  });
  return {
    title: `${entry.name}: ${titleOf(directions)}`,
    blocks: [paragraph(entry.signature), ...sections.flat()],
  };
}

const goals: { readonly [D in Explained]: string } = {
  backward: 'gradients',
  jvp: 'tangents',
  double_backward: 'second-order gradients',
};

const titleOf = (directions: readonly Explained[]): string =>
  `from forward to ${listOf(directions.map((direction) => goals[direction])).join('')}`;

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
