/** Whatever the text, parsing ends soon, with diagnostics and not with an exception. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import { text } from './batch-norm.ts';

const test = suite('fuzz');

/** A small generator of numbers from 0 to below 1 (mulberry32), the same on every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function survives(spec: string): void {
  const start = process.cpuUsage();
  const { diagnostics, spec: parsed } = parseSpec(spec, 'spec.yaml');
  for (const d of diagnostics) {
    assert.ok(d.span.start >= 0 && d.span.end >= d.span.start, `${d.code}: ${d.span.start} to ${d.span.end}`);
    assert.not.match(d.message, /stack|recursion/);
    assert.match(
      formatDiagnostic(d, spec, 'spec.yaml'),
      /^spec\.yaml:\d+:\d+: error\[[a-z-]+\]: [^\n]+\n\n\d+ \| .*\n\s*\^+/,
    );
  }
  assert.ok(diagnostics.length > 0 || parsed.entries.length > 0, 'neither entries nor mistakes');
  assert.ok(process.cpuUsage(start).user < 2e6, 'it takes long'); // of this process, in µs, whatever else runs
}

const pieces = [
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  ':',
  '*',
  '&',
  '-',
  "'",
  '"',
  '\\',
  '#',
  '\n',
  '\t',
  '  ',
  '?',
  '|',
  '>',
  '!',
  ',',
  '^',
  'é',
  '<<',
  '\0',
  '\uD800',
  '...',
  '---',
  '*a',
  '&a ',
];

test('two thousand mutations', () => {
  const random = generator(20240517);
  const below = (n: number): number => Math.floor(random() * n);
  for (let i = 0; i < 2000; i++) {
    let spec = text;
    for (let edits = 1 + below(4); edits > 0; edits--) {
      const [at, length] = [below(spec.length), 1 + below(below(4) === 0 ? 80 : 4)];
      const piece = spec.slice(at, at + length);
      const rest = spec.slice(at + length);
      const swapped = (rest[0] ?? '') + piece + rest.slice(1);
      const mutations = [rest, piece + piece + rest, swapped, pieces[below(pieces.length)] + piece + rest];
      spec = spec.slice(0, at) + mutations[below(mutations.length)];
    }
    try {
      survives(spec);
    } catch (error) {
      throw new Error(`mutation ${i}: ${String(error)}\n${spec}`);
    }
  }
});

const words =
  'x w n t b k f norm sqrt max sum mean count given clamp training and or not ( ( ) ) { } , ? : + - * / ^ < == != 1 2.5 1e3 e pi true'.split(
    ' ',
  );

test('five thousand formulas of random words', () => {
  const random = generator(7);
  const word = (): string => words[Math.floor(random() * words.length)]!;
  for (let i = 0; i < 100; i++) {
    const formulas = Array.from({ length: 50 }, (_, j) => {
      const length = 1 + Math.floor(random() * 9);
      return `    a${j}: "${Array.from({ length }, word).join(' ')}"\n`;
    });
    survives(`- name: norm(Tensor x[n, c], Tensor? w[c], *, bool b, float k = 1) -> Tensor y[n, c]
  forward: {y: x}
- name: f(Tensor x[n, c], Tensor? w[c], Tensor t[n, (c k)], *, bool training, int k = 1) -> Tensor y[n, c]
  forward:
${formulas.join('')}    y: x
`);
  }
});

const deep = (before: string, after: string, n: number): string => before.repeat(n) + after.repeat(n);
const formula = (text: string): string =>
  `- name: f(Tensor x[n]) -> Tensor y[n]\n  forward:\n    y: '${text}'\n`;
const hostile: Readonly<Record<string, string>> = {
  nothing: '',
  'a null': 'null',
  'a byte order mark': '\uFEFF',
  'deep lists': deep('[', ']', 20000),
  'deep maps': deep('{a: ', '}', 20000),
  'deep blocks': Array.from({ length: 2000 }, (_, i) => `${' '.repeat(i)}- a:\n`).join(''),
  'many dashes': '- '.repeat(20000),
  'a list in itself': '&a [*a, *a]',
  'a map in itself': '- &a\n  name: *a\n  forward: *a\n  absent: *a\n',
  'a formula in itself': '- name: f(Tensor x[n]) -> Tensor y[n]\n  forward: &f {y: *f}\n',
  'deep parentheses': formula(deep('(', ')', 50000)),
  'unclosed parentheses': formula('('.repeat(50000)),
  'many signs': formula(`${'-'.repeat(50000)}x`),
  'many nots': formula(`${'not '.repeat(50000)}x`),
  'many terms': formula(`x${' + x'.repeat(50000)}`),
  'many factors': formula(`x${' * x'.repeat(50000)}`),
  'many powers': formula(`x${' ^ x'.repeat(50000)}`),
  'many choices': formula(`${'x > 0 ? x : '.repeat(20000)}x`),
  'many questions': formula('x ? '.repeat(20000)),
  'many calls': formula(deep('sqrt(', ')', 20000)),
  'many side by side': formula('x '.repeat(5000)),
  'deep chains in chains': formula(`${'('.repeat(90)}x${`${' * x'.repeat(900)})`.repeat(90)}`),
  'many comparisons': formula(`x${' < x'.repeat(20000)}`),
  'a long name': formula('x'.repeat(100000)),
  'a long signature': `- name: ${'f(Tensor x['.repeat(20000)}\n`,
  'many dimensions': `- name: f(Tensor x[${Array.from({ length: 3000 }, (_, i) => `a${i}`).join()}]) -> Tensor y[]\n  forward: {y: 1}\n`,
  'many arguments': `- name: f(${Array.from({ length: 3000 }, (_, i) => `Tensor? a${i}[]`).join()}) -> Tensor y[]\n  forward: {y: 1}\n`,
  'many formulas': `- name: f(Tensor x[]) -> Tensor y[]\n  forward:\n${Array.from({ length: 2000 }, (_, i) => `    a${i}: b${i}\n`).join('')}`,
  'a lone surrogate': formula('\uD800'),
  'null characters': '\0\0\0',
};
for (const [name, spec] of Object.entries(hostile)) {
  test(name, () => {
    survives(spec);
  });
}

test.run();
