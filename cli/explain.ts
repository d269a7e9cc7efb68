/** `normgrad explain`: the derivation of an op's gradients, tangents and second-order gradients, step by step. */
import { writeFile } from 'node:fs/promises';
import { wantable } from '../compiler/explain/derivation.ts';
import { formats, explain as write } from '../compiler/explain/explain.ts';
import { explained } from '../compiler/explain/part.ts';
import { didYouMean, listed, quoted } from '../compiler/spec/codes.ts';
import { parseSpec } from '../compiler/spec/parse.ts';
import type { Entry, Variant } from '../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../compiler/spec/variants.ts';
import { oneOf, someOf, type Values } from './arguments.ts';
import { Failure, type Io, reasonOf, UsageError } from './io.ts';
import { checkOp, defaultSpec, readSpec, showDiagnostics } from './spec.ts';

/** Prints the derivation, or writes it to a file. */
export async function explain({ operands, options }: Values, io: Io): Promise<number> {
  const format = oneOf('format', options.get('format') ?? 'text', formats);
  const file = options.get('spec') ?? defaultSpec;
  const text = await readSpec(file, 'normgrad explain OP --spec SPEC');
  const { spec, diagnostics } = parseSpec(text, file);
  if (diagnostics.length > 0) {
    showDiagnostics({ diagnostics, text, file }, options.has('json'), io);
    return 1;
  }
  const [name] = operands;
  checkOp(
    name,
    spec.entries.map((entry) => entry.name),
  );
  const entry = spec.entries.find((candidate) => candidate.name === name)!;
  const variants = readVariants(options.get('variant'), entry);
  const wrt = readWrt(options.get('wrt'), entry, variants);
  const directions = someOf('direction', options.get('direction') ?? 'backward', explained);
  const document = await write(entry, variants, format, { ...(wrt && { wrt }), directions });
  const out = options.get('out');
  if (out === undefined) io.out(document);
  else await save(out, document, io);
  return 0;
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** What is between commas; nothing there is more likely a mistake than the variant of which nothing is true or given. */
function partsOf(option: string, asked: string): string[] {
  const parts = asked.split(',');
  if (parts.every((part) => part.trim() !== '')) return parts;
  throw new UsageError(`--${option} needs a value before and after each comma, not ${quoted(asked)}`);
}

/** Variants by the names of what is true and given, in any order; several with commas; the first where none is asked for. */
function readVariants(asked: string | undefined, entry: Entry): Variant[] {
  const all = variantsOf(entry);
  if (asked === undefined) return all.slice(0, 1);
  const parts = asked.includes(',') ? partsOf('variant', asked) : [asked];
  return parts.map((part) => {
    const words = new Set(wordsOf(part));
    const found = all.find((variant) => {
      const key = wordsOf(variantKey(entry, variant));
      return key.length === words.size && key.every((word) => words.has(word));
    });
    if (found) return found;
    const keys = all.map((variant) => `\n  ${quoted(variantKey(entry, variant))}`);
    throw new UsageError(
      `${entry.name} has no variant ${quoted([...words].join(' '))}; its variants are${keys.join('')}`,
    );
  });
}

function readWrt(
  asked: string | undefined,
  entry: Entry,
  variants: readonly Variant[],
): string[] | undefined {
  if (asked === undefined) return undefined;
  const names = partsOf('wrt', asked).flatMap(wordsOf);
  for (const variant of variants) {
    const known = wantable(entry, variant);
    for (const name of names) {
      if (known.includes(name)) continue;
      const hint = didYouMean(name, known) ?? (known.length > 0 ? `it has ${listed(known)}` : 'it has none');
      throw new UsageError(
        `${entry.name} has no gradient for ${quoted(name)} in the variant ${quoted(variantKey(entry, variant))}; ${hint}`,
      );
    }
  }
  return names;
}

async function save(path: string, text: string, io: Io): Promise<void> {
  await writeFile(path, text).catch((error: unknown) => {
    throw new Failure(`cannot write ${quoted(path)}: ${reasonOf(error)}`);
  });
  io.err(`${path} written\n`);
}
