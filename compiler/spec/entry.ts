/** Reads one entry: its keys, its signature, what is declared of it, and its formulas. */

import type { Node } from 'yaml';
import type { Span } from '../diagnostics.ts';
import { closest, didYouMean, quoted } from './codes.ts';
import { declare, type Fields } from './declare.ts';
import { fieldsOf, type Source, spanOf, textOf } from './document.ts';
import { checkReads } from './liveness.ts';
import { onOneLine } from './passage.ts';
import type { Standing } from './scope.ts';
import { readSections } from './sections.ts';
import { parseSignature, type Signature } from './signature.ts';
import { checkSizes } from './sizes.ts';
import type { Entry } from './spec.ts';
import { choicesOf, mostVariants, variantsOf } from './variants.ts';

const keys = [
  'name',
  'absent',
  'together',
  'require',
  'forward',
  'update',
  'non_differentiable',
  'output_differentiability',
  'gradients',
  'tangents',
  'second',
  'layouts',
  'wrt',
  'generate',
];

/** An entry of which only the name is read yet, so that earlier entries can know of it. */
export interface Opened {
  readonly name: string | undefined;
  readonly span: Span;
  readonly fields: Fields;
  readonly signature: Signature | undefined;
  /** The signature on one line. */
  readonly text: string;
}

export function openEntry(source: Source, node: Node, whole: Span): Opened | undefined {
  const found = fieldsOf(source, node, whole, 'an entry');
  if (!found) return undefined;
  const fields = new Map(found.map((field) => [field.key, field]));
  for (const { key, keySpan } of found) {
    if (!keys.includes(key))
      source.report('unknown-key', keySpan, `entries have no key ${quoted(key)}`, didYouMean(key, keys));
  }
  const at = spanOf(source, node, whole);
  for (const key of ['name', 'forward']) {
    if (fields.has(key)) continue;
    // A misspelt key is reported as such, once.
    if (found.some((field) => !keys.includes(field.key) && closest(field.key, keys) === key)) continue;
    source.report('missing-key', at, `an entry needs ${quoted(key)}`);
  }
  const field = fields.get('name');
  const passage = field && textOf(source, field.value, field.keySpan, quoted('name'));
  if (!passage) return { name: undefined, span: at, fields, signature: undefined, text: '' };
  const signature = parseSignature(passage, source.report);
  const name = signature?.id.name ?? /^\s*([A-Za-z_][A-Za-z0-9_]*)/.exec(passage.text)?.[1];
  return { name, span: signature?.id.span ?? passage.whole, fields, signature, text: onOneLine(passage) };
}

/** The whole entry; something was reported if it is not sound. */
export function readEntry(
  source: Source,
  opened: Opened,
  standing: ReadonlyMap<string, Standing>,
): Entry | undefined {
  const { signature, fields, span, text } = opened;
  if (!signature) return undefined;
  const areSized = checkSizes(signature, source.report);
  const { wrt, ...declared } = declare(source, signature, fields);
  const sections = readSections(source, { ...declared, wrt }, fields, standing);
  const own = { name: signature.id.name, signature: text, span, ...declared, ...sections };
  const entry: Entry = wrt === undefined ? own : { ...own, wrt };
  const choices = choicesOf(entry);
  if (2 ** choices.length > mostVariants) {
    const message = `${choices.length} compile-time choices make more than ${mostVariants} variants`;
    source.report('too-many-variants', span, message, "tie optional tensors with 'together'");
    return undefined;
  }
  const variants = variantsOf(entry);
  const at = fields.get('require')?.keySpan ?? span;
  if (variants.length === 0) source.report('no-variant', at, 'these requirements leave no variant');
  if (areSized) checkReads(entry, variants, source.report);
  return entry;
}
