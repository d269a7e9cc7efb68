/** The picture of the results: nothing lies on anything else. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { allCases } from '../../bench/cases.ts';
import type { Contender } from '../../bench/contender.ts';
import { drawPlot } from '../../bench/plot.ts';
import { timingOf } from '../../bench/statistics.ts';

const contender = (name: string, unit: Contender['unit']): Contender => ({
  name,
  side: 'peer',
  unit,
  threads: 'one',
  cannot: () => undefined,
  prepare: () => Promise.reject(new Error('not to be run')),
});
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `PyTorch, ${i}`);
const contenders = [
  ...names(7).map((name) => contender(name, 'cpu')),
  contender('jax-js webgpu', 'gpu'),
  contender('tfjs webgpu', 'gpu'),
];
const step = allCases().find(({ task, training }) => task === 'step' && training)!;
const outcomes = new Map(contenders.map(({ name }, i) => [name, { timing: timingOf([1 + i]) }] as const));

interface Text {
  readonly x: number;
  readonly y: number;
  readonly content: string;
}

const textsOf = (svg: string): Text[] =>
  [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</g)].map(([, x, y, content]) => ({
    x: Number(x),
    y: Number(y),
    content: content!,
  }));

test('both panels have a title, and the legend as many rows as it needs, all above the axis', () => {
  const texts = textsOf(drawPlot([{ row: step, outcomes }], contenders));
  for (const title of ['CPU', 'WebGPU', 'jax-js', 'tfjs'])
    assert.ok(
      texts.some(({ content }) => content === title),
      title,
    );
  const legend = texts.filter(({ content }) => content.startsWith('PyTorch'));
  const rows = [...new Set(legend.map(({ y }) => y))];
  assert.is(rows.length, 3);
  const axis = texts.filter(({ content }) => /^[\d.]+$/.test(content)).map(({ y }) => y);
  assert.ok(Math.min(...axis) - Math.max(...rows) >= 14);
});

test('names of a row of the legend leave room for each other, and for the other panel', () => {
  const texts = textsOf(drawPlot([{ row: step, outcomes }], contenders));
  const legend = texts.filter(({ content }) => content.startsWith('PyTorch'));
  for (const [i, { x, y, content }] of legend.entries()) {
    const next = legend[i + 1];
    const end = next && next.y === y ? next.x - 12 : 582;
    assert.ok(x + 7 * content.length <= end, content);
  }
});

test('who has no number is not in the legend', () => {
  const svg = drawPlot([{ row: step, outcomes: new Map([...outcomes].slice(0, 2)) }], contenders);
  assert.not.match(svg, 'PyTorch, 2');
  assert.not.match(svg, 'WebGPU<');
});

test.run();
