/** `explain`: the derivation of an op's gradients as a document, for a terminal, for LaTeX, or as a page. */
import type { Entry, Variant } from '../spec/spec.ts';
import { variantBlocks, variantWords } from './compose.ts';
import { derive, wantable } from './derivation.ts';
import { type Block, type Document, heading, paragraph } from './document.ts';

export const formats = ['text', 'latex', 'html'] as const;
export type Format = (typeof formats)[number];

/**
 * Derives the gradients of an op in some variants and writes them down. `wrt` are the arguments wanted, all of those
 * that can have a gradient where it is left out; each must be one of `wantable` in every variant.
 */
export async function explain(
  entry: Entry,
  variants: readonly Variant[],
  format: Format,
  wrt?: readonly string[],
): Promise<string> {
  const document = documentOf(entry, variants, wrt);
  if (format === 'latex') return (await import('./latex.ts')).latexText(document);
  if (format === 'html') return (await import('./html.ts')).htmlPage(document);
  return (await import('./terminal.ts')).terminalText(document);
}

/** The document, whatever it is written as. */
export function documentOf(entry: Entry, variants: readonly Variant[], wrt?: readonly string[]): Document {
  const sections = variants.map((variant, i): Block[] => {
    const id = variants.length > 1 ? `variant-${i + 1}` : 'variant';
    const blocks = variantBlocks(derive(entry, variant, wrt ?? wantable(entry, variant)), id);
    const title = variantWords(variant);
    return variants.length > 1
      ? [heading(1, capital(title), id), ...blocks]
      : [...(title ? [paragraph(`Variant: ${title}.`)] : []), ...blocks];
  });
  return {
    title: `${entry.name}: from forward to gradients`,
    blocks: [paragraph(entry.signature), ...sections.flat()],
  };
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
