/** The results as a picture in colours that can be read on light and on dark ground. */
import { elementsOf, writeShape } from './cases.ts';
import { type Row, timingIn } from './compare.ts';
import type { Contender } from './contender.ts';

const width = 920;
const rowHeight = 26;
const panel = { left: 232, width: 300, gap: 50 };
/** The first row of a legend, below the title of its panel. */
const legend = { top: 62, rowHeight: 16 };

/** By how a contender's name starts. Filled marks are all threads or a GPU, hollow ones one thread. */
const colours: { readonly [word: string]: string } = {
  copy: '#8b949e',
  TypeScript: '#3b8eea',
  wasm: '#1a9850',
  WGSL: '#1a9850',
  PyTorch: '#e5533d',
  ONNX: '#c2852b',
  'jax-js': '#a371f7',
  'tfjs cpu': '#8f7b66',
  tfjs: '#db61a2',
};
const colourOf = (name: string): string =>
  Object.entries(colours).find(([word]) => name.startsWith(word))?.[1] ?? '#8b949e';

const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** Nanoseconds per element of each contender with a number. */
const valuesOf = (row: Row, contenders: readonly Contender[]) =>
  contenders.flatMap((contender) => {
    const timing = timingIn(row, contender.name);
    return timing ? [{ contender, value: (1e6 * timing.median) / elementsOf(row.row) }] : [];
  });

interface Scale {
  readonly low: number;
  readonly high: number;
}

/** Whole powers of ten around the values. */
function scaleOf(values: readonly number[]): Scale {
  const logs = values.map(Math.log10);
  const low = Math.floor(Math.min(...logs));
  return { low, high: Math.max(low + 1, Math.ceil(Math.max(...logs))) };
}

const position = ({ low, high }: Scale, left: number, value: number): number =>
  left + (panel.width * (Math.log10(value) - low)) / (high - low);

/** Training steps of all problems: a panel for the CPU, one for WebGPU. */
export function drawPlot(rows: readonly Row[], contenders: readonly Contender[]): string {
  const steps = rows.filter(({ row }) => row.task === 'step' && row.training);
  const shown = contenders.filter(({ name }) => steps.some((row) => timingIn(row, name)));
  const keys = [
    { title: 'CPU', items: placed(shown.filter(({ unit }) => unit === 'cpu')) },
    { title: 'WebGPU', items: placed(shown.filter(({ unit }) => unit === 'gpu')) },
  ];
  const legendRows = 1 + Math.max(0, ...keys.flatMap(({ items }) => items.map(({ row }) => row)));
  const top = legend.top + legend.rowHeight * legendRows + 14;
  const height = top + rowHeight * steps.length + 20;
  const panels = keys.map((key, i) =>
    drawPanel(key, { left: panel.left + i * (panel.width + panel.gap), top, height }, steps),
  );
  const labels = steps.map(({ row }, i) => {
    const layout = row.op === 'batch_norm' && row.layout === 'last' ? ', channels last' : '';
    const op = row.op === 'batch_norm' ? '' : `${row.op.replace('_', ' ')} `;
    return text(panel.left - 14, rowAt(top, i) + 4, `${op}${writeShape(row.shape)}${layout}`, 'end');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>Training steps of normalisation layers, nanoseconds per element</title>
<style>text { fill: #75808b; } .line { stroke: #8b949e; stroke-opacity: 0.35; }</style>
${text(16, 22, 'Forward and backward in training: nanoseconds per element, logarithmic, less is better', 'start', 'font-weight="600"')}
${[...labels, ...panels].join('\n')}
</svg>
`;
}

const rowAt = (top: number, i: number): number => top + rowHeight * (i + 0.5);

const text = (x: number, y: number, content: string, anchor = 'start', rest = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" ${rest}>${escapeXml(content)}</text>`;

/** What a panel shows, and its legend. */
interface Key {
  readonly title: string;
  readonly items: readonly Item[];
}

interface Frame {
  readonly left: number;
  readonly top: number;
  readonly height: number;
}

function drawPanel({ title, items }: Key, { left, top, height }: Frame, steps: readonly Row[]): string {
  const contenders = items.map(({ contender }) => contender);
  const values = steps.map((row) => valuesOf(row, contenders));
  const all = values.flat();
  if (all.length === 0) return '';
  const scale = scaleOf(all.map(({ value }) => value));
  const ticks = Array.from({ length: scale.high - scale.low + 1 }, (_, i) => 10 ** (scale.low + i));
  const axis = ticks.map((tick) => {
    const x = position(scale, left, tick).toFixed(1);
    const line = `<line class="line" x1="${x}" x2="${x}" y1="${top - 4}" y2="${height - 16}"/>`;
    return line + text(Number(x), top - 10, `${Number(tick.toPrecision(1))}`, 'middle');
  });
  const rules = steps.map((_, i) => {
    const y = rowAt(top, i);
    return `<line class="line" x1="${left}" x2="${left + panel.width}" y1="${y}" y2="${y}"/>`;
  });
  const marks = values.flatMap((row, i) =>
    row.map(({ contender, value }) => mark(contender, position(scale, left, value), rowAt(top, i))),
  );
  const head = text(left, legend.top - 18, title, 'start', 'font-weight="600"');
  return [head, drawLegend(items, left), ...axis, ...rules, ...marks].join('\n');
}

/** A bar for the floor, large dots for ours, small ones for the peers. */
function mark({ name, side, threads }: Contender, x: number, y: number): string {
  const colour = colourOf(name);
  if (side === 'floor')
    return `<rect x="${(x - 1.5).toFixed(1)}" y="${y - 8}" width="3" height="16" fill="${colour}"/>`;
  const fill = threads === 'all' ? `fill="${colour}"` : 'fill="none"';
  const radius = side === 'ours' ? 6 : 4;
  return `<circle cx="${x.toFixed(1)}" cy="${y}" r="${radius}" ${fill} stroke="${colour}" stroke-width="2"><title>${escapeXml(name)}</title></circle>`;
}

/** A name of the legend: how far right its mark is, and in which row. */
interface Item {
  readonly contender: Contender;
  readonly name: string;
  readonly x: number;
  readonly row: number;
}

/** Names one after another, in as many rows as they need; widths are guesses from the number of letters. */
function placed(contenders: readonly Contender[]): Item[] {
  let x = 4;
  let row = 0;
  return contenders.map((contender) => {
    const name = contender.name.replace('all threads', 'all').replace(/ on WebGPU| webgpu/, '');
    const needed = 26 + 6.9 * name.length;
    if (x > 4 && x + needed > panel.width) {
      x = 4;
      row += 1;
    }
    const item = { contender, name, x, row };
    x += needed;
    return item;
  });
}

function drawLegend(items: readonly Item[], left: number): string {
  const drawn = items.map(({ contender, name, x, row }) => {
    const y = legend.top + legend.rowHeight * row;
    const side = contender.side === 'floor' ? 'floor' : 'peer';
    const label = text(left + x + 8, y, name, 'start', 'font-size="10.5"');
    return mark({ ...contender, side }, left + x, y - 4) + label;
  });
  return drawn.join('\n');
}
