/** The contract's own example of a spec, exactly as it is written there. */
import { readFileSync } from 'node:fs';
import { parseSpec } from '../../compiler/spec/parse.ts';
import type { Entry } from '../../compiler/spec/spec.ts';

export const text = readFileSync(new URL('batch-norm.txt', import.meta.url), 'utf8');

/** The entries of a spec that has no mistakes. */
export function entriesOf(spec: string): readonly Entry[] {
  const { spec: parsed, diagnostics } = parseSpec(spec, 'spec.yaml');
  if (diagnostics.length > 0)
    throw new Error(diagnostics.map(({ code, message }) => `${code}: ${message}`).join('\n'));
  return parsed.entries;
}

/** The only entry of a spec, or its last one. */
export const entryOf = (spec: string): Entry => entriesOf(spec).at(-1)!;

/** An entry with these formulas. */
export const entryWith = (forward: Readonly<Record<string, string>>, more = ''): Entry =>
  entryOf(
    `- name: >-
    f(Tensor x[n, c, *s], Tensor? w[c], Tensor i[n], Tensor var[c], *, bool training, int k = 2, float eps = 1e-5)
    -> Tensor y[n, c, *s]
${more}  absent: {w: 1}
  forward:
${Object.entries(forward)
  .map(([name, formula]) => `    ${name}: ${JSON.stringify(formula)}\n`)
  .join('')}`,
  );
