/** The results as Markdown. */
import { type Case, elementsOf, type OpName, writeShape, writeTask } from './cases.ts';
import { bestPeer, type Row, ratioOf, timingIn } from './compare.ts';
import type { Absent, Contender } from './contender.ts';
import { copies } from './contenders/copy.ts';
import type { Machine } from './machine.ts';
import { loadManifest, trafficOf } from './manifest.ts';
import { spreadOf, type Timing } from './statistics.ts';

export interface Report {
  readonly contenders: readonly Contender[];
  readonly absent: readonly Absent[];
  readonly machine: Machine;
  readonly quick: boolean;
  readonly rows: readonly Row[];
  readonly scaling: readonly Row[];
  readonly tiny: readonly Row[];
}

type Manifests = ReadonlyMap<OpName, Awaited<ReturnType<typeof loadManifest>>>;

export async function writeReport(report: Report): Promise<string> {
  const ops = [...new Set(report.rows.map(({ row }) => row.op))];
  const manifests: Manifests = new Map(
    await Promise.all(ops.map(async (op) => [op, await loadManifest(op)] as const)),
  );
  const sections = [
    introduction(report),
    summary(report),
    ...groupBy(report.rows, ({ row }) => titleOf(row)).map(([title, rows]) =>
      section(report, manifests, title, rows),
    ),
    scaling(report),
    tiny(report),
    gaps(report),
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

const titleOf = (row: Case): string => {
  const layout = row.op === 'batch_norm' && row.shape.length > 2 ? `, channels ${row.layout}` : '';
  return `${row.op} ${writeShape(row.shape)}${layout}`;
};

function groupBy(rows: readonly Row[], key: (row: Row) => string): [string, Row[]][] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
  return [...groups];
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

/** Three digits, in milliseconds or, if short, microseconds. */
export function writeTime(ms: number): string {
  const [value, unit] = ms < 0.1 ? [1000 * ms, 'µs'] : [ms, 'ms'];
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`;
}
const writeTiming = (timing: Timing | undefined): string =>
  timing ? `${writeTime(timing.median)} ±${spreadOf(timing).toFixed(0)}%` : '–';
const writeRatio = (ratio: number | undefined): string =>
  ratio === undefined ? '–' : `${ratio >= 10 ? ratio.toFixed(0) : ratio.toPrecision(2)}×`;

function introduction({ machine, quick, contenders, absent }: Report): string {
  const kind = quick ? 'A **quick** run: few rounds, wide spreads.' : 'Nothing else should run meanwhile.';
  const missing = absent.map(({ name, reason }) => `- **${name}** did not take part: ${reason}.`);
  const peers = contenders.filter(({ side }) => side === 'peer').map(({ name }) => name);
  return `# Benchmark

Written by \`npm run bench\`. ${kind}

${machine.lines.map((line) => `- ${line}`).join('\n')}

Contenders take turns over several rounds. On the CPU each has a process of its own; on WebGPU they share one. Every
number was compared with a float64 reference, with random cotangents, before it was timed; only tensors past 1e6
elements under *Time per element* were not. Shown is the median of a call and half the distance of the quartiles. All
allocate their results in each call and free them; calls alternate between two sets of inputs. On WebGPU several calls
are queued, and the wait for the queue is counted. A **step** is forward and backward together. *Traffic* is from the
manifest: kernels, and how often they read and write tensors as large as the data. *Copy* is one copy of x into memory
that exists; *CPU over copy* is our fastest time on the CPU over that. Ratios are the time of the fastest peer over
ours: one thread against one, all against any, WebGPU against WebGPU. tfjs and jax-js keep no running statistics, which
is less work; in Node their wasm has one thread.

Peers: ${peers.join('; ') || 'none'}.${missing.length > 0 ? `\n\n${missing.join('\n')}` : ''}`;
}

/** The lowest, middle and highest ratio by task. */
function summary({ rows, contenders }: Report): string {
  const ours = contenders.filter(({ side }) => side === 'ours');
  const tasks = groupBy(rows, ({ row }) => row.task);
  const cell = (contender: Contender, some: readonly Row[]): string => {
    const ratios = some.flatMap((row) => ratioOf(row, contenders, contender) ?? []).sort((a, b) => a - b);
    if (ratios.length === 0) return '–';
    return [ratios[0], ratios[Math.floor(ratios.length / 2)], ratios.at(-1)].map(writeRatio).join(' / ');
  };
  if (tasks.length === 0) return '';
  const body = tasks.map(([task, some]) => [task, ...ours.map((contender) => cell(contender, some))]);
  return `## Ratios to the best peer\n\nLowest / median / highest over all shapes, layouts and modes.\n\n${table(
    ['task', ...ours.map(({ name }) => name)],
    body,
  )}`;
}

const kinds = [
  ['best peer, 1 thread', { unit: 'cpu', threads: 'one' }],
  ['best peer, all threads', { unit: 'cpu', threads: 'all' }],
  ['best peer, WebGPU', { unit: 'gpu', threads: 'all' }],
] as const;

function section({ contenders }: Report, manifests: Manifests, title: string, rows: readonly Row[]): string {
  const ours = contenders.filter(({ side }) => side === 'ours');
  const peers = contenders.filter(({ side }) => side === 'peer');
  const withRatio = (row: Row, contender: Contender): string => {
    const ratio = ratioOf(row, contenders, contender);
    const time = writeTiming(timingIn(row, contender.name));
    return ratio === undefined ? time : `${time}, **${writeRatio(ratio)}**`;
  };
  const best = (row: Row, kind: (typeof kinds)[number][1]): string => {
    const found = bestPeer(row, contenders, kind);
    return found ? `${writeTime(found.timing.median)} (${found.name})` : '–';
  };
  const traffic = (row: Case) => {
    const manifest = manifests.get(row.op)!;
    return `${trafficOf(manifest, row, 'typescript')}; ${trafficOf(manifest, row, 'wgsl')}`;
  };
  const head = [
    '',
    'traffic on CPU; WebGPU',
    'CPU over copy',
    ...ours.map(({ name }) => name),
    ...kinds.map(([name]) => name),
  ];
  const body = rows.map((row) => [
    writeTask(row.row),
    traffic(row.row),
    overCopy(row, ours),
    ...ours.map((contender) => withRatio(row, contender)),
    ...kinds.map(([, kind]) => best(row, kind)),
  ]);
  const all = rows.map((row) => [
    writeTask(row.row),
    ...peers.map(({ name }) => writeTiming(timingIn(row, name))),
  ]);
  const details = `<details><summary>All peers</summary>\n\n${table(['', ...peers.map(({ name }) => name)], all)}\n\n</details>`;
  return [`## ${title}`, floorOf(rows), table(head, body), ...(peers.length > 0 ? [details] : [])].join(
    '\n\n',
  );
}

/** The time of our fastest on the CPU in copies of the tensor. */
function overCopy(row: Row, ours: readonly Contender[]): string {
  const times = ours.flatMap(({ name, unit }) => (unit === 'cpu' ? (timingIn(row, name) ?? []) : []));
  const floor = timingIn(row, copies.cpu);
  if (times.length === 0 || !floor) return '–';
  return writeRatio(Math.min(...times.map(({ median }) => median)) / floor.median);
}

/** The floor is the same for every task of a problem: the fastest time is the least disturbed. */
function floorOf(rows: readonly Row[]): string {
  const fastest = (name: string) => {
    const found = rows.flatMap((row) => timingIn(row, name) ?? []).sort((a, b) => a.median - b.median)[0];
    return found ? `${name} ${writeTiming(found)}` : '';
  };
  return [copies.cpu, copies.gpu]
    .map(fastest)
    .filter((text) => text !== '')
    .join('; ');
}

function scaling({ scaling: rows, contenders }: Report): string {
  if (rows.length === 0) return '';
  const nanoseconds = (row: Row, name: string) => {
    const timing = timingIn(row, name);
    return timing ? ((1e6 * timing.median) / elementsOf(row.row)).toPrecision(3) : '–';
  };
  const head = [
    'ns per element',
    ...rows.map(({ row }) => elementsOf(row).toExponential(0).replace('+', '')),
  ];
  const named = contenders.filter(({ name }) => rows.some((row) => timingIn(row, name)));
  return `## Time per element of a training step\n\nBatch norm of n×100×1000, channels first.\n\n${table(
    head,
    named.map(({ name }) => [name, ...rows.map((row) => nanoseconds(row, name))]),
  )}`;
}

function tiny({ tiny: rows, contenders }: Report): string {
  if (rows.length === 0) return '';
  const named = contenders.filter(
    ({ name, side }) => side !== 'floor' && rows.some((row) => timingIn(row, name)),
  );
  return `## One call on 8 elements\n\nBatch norm of 4×2 in a steady loop.\n\n${table(
    ['', ...rows.map(({ row }) => writeTask(row))],
    named.map(({ name }) => [name, ...rows.map((row) => writeTiming(timingIn(row, name)))]),
  )}`;
}

/** Every case without a number, with the reason; many have the same. */
function gaps({ rows, scaling: larger, tiny: small }: Report): string {
  const found = new Map<string, Set<string>>();
  for (const { row, outcomes } of [...rows, ...larger, ...small])
    for (const [name, outcome] of outcomes) {
      if ('timing' in outcome) continue;
      const reason = 'wrong' in outcome ? `**wrong**: ${outcome.wrong}` : outcome.missing;
      const key = `**${name}**: ${reason}`;
      found.set(key, (found.get(key) ?? new Set()).add(`${titleOf(row)} ${writeTask(row)}`));
    }
  if (found.size === 0) return '';
  const lines = [...found].map(
    ([key, places]) => `- ${key} (${places.size > 3 ? `${places.size} rows` : [...places].join('; ')})`,
  );
  return `## Not measured\n\n${lines.join('\n')}`;
}
