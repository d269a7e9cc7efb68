/** How a mistake is framed. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { diagnosticToJson, formatDiagnostic, locate } from '../../compiler/diagnostics.ts';

const test = suite('diagnostics');
const framed = (text: string, start: number, end: number, hint?: string): string =>
  formatDiagnostic(
    { code: 'c', message: 'm', span: { start, end }, ...(hint === undefined ? {} : { hint }) },
    text,
    'f.yaml',
  );

test('the frame', () => {
  assert.is(
    framed('a\n  y: (x - mu) * rstdd + beta\n', 18, 23, "did you mean 'rstd'?"),
    "f.yaml:2:17: error[c]: m\n\n2 |   y: (x - mu) * rstdd + beta\n                    ^^^^^  did you mean 'rstd'?",
  );
});

test('tabs stay tabs under tabs', () => {
  assert.is(framed('\ta\tbb', 3, 5), 'f.yaml:1:4: error[c]: m\n\n1 | \ta\tbb\n    \t \t^^');
});

test('wide characters take two columns, surrogate pairs one character', () => {
  assert.is(framed('漢𝒳 x', 4, 5), 'f.yaml:1:5: error[c]: m\n\n1 | 漢𝒳 x\n        ^');
});

test('a span over lines is underlined on its first', () => {
  assert.is(framed('ab\ncd', 1, 5), 'f.yaml:1:2: error[c]: m\n\n1 | ab\n     ^');
});

test('an empty span, and one past the end', () => {
  assert.match(framed('ab', 1, 1), / \^$/);
  assert.is(framed('ab', 99, 100), 'f.yaml:1:3: error[c]: m\n\n1 | ab\n      ^');
  assert.match(framed('', 0, 1), /^f.yaml:1:1:/);
});

test('a long line is cut around the span', () => {
  const text = `${'a '.repeat(500)}here${' b'.repeat(500)}`;
  const [, , line, carets] = framed(text, 1000, 1004).split('\n');
  assert.ok(line!.length < 170);
  assert.is(line!.slice(carets!.indexOf('^'), carets!.lastIndexOf('^') + 1), 'here');
});

test('a span longer than the cut', () => {
  const [, , line, carets] = framed('a'.repeat(1000), 500, 990).split('\n');
  assert.ok(carets!.length <= line!.length);
});

test('control characters are not printed', () => {
  assert.not.ok(framed('a\x1b[31mb', 0, 1).includes('\x1b'));
});

test('places', () => {
  assert.equal(locate('a\r\nbc\rd\n', 4), { line: 2, column: 2 });
  assert.equal(locate('a\r\nbc\rd\n', 6), { line: 3, column: 1 });
  assert.equal(locate('\uFEFFa', 1), { line: 1, column: 1 });
  assert.equal(locate('a\n', 2), { line: 2, column: 1 });
});

test('JSON', () => {
  const d = { code: 'c', message: 'm', span: { start: 2, end: 3 }, hint: 'h' };
  assert.equal(diagnosticToJson(d, 'a\nb', 'f'), {
    file: 'f',
    line: 2,
    column: 1,
    code: 'c',
    message: 'm',
    hint: 'h',
  });
});

test.run();
