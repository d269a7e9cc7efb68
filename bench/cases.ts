/** What is measured: ops on shapes, each in several modes, directions and layouts. */

export type OpName = 'batch_norm' | 'layer_norm' | 'group_norm' | 'instance_norm' | 'rms_norm';

/** One op on one shape. */
export interface Problem {
  readonly op: OpName;
  /** In PyTorch's order: samples, channels, space; for `layer_norm` and `rms_norm` rows and features. */
  readonly shape: readonly number[];
  /** Where channels are in memory. */
  readonly layout: 'first' | 'last';
  /** False for frozen statistics. */
  readonly training: boolean;
}

export type Task = 'forward' | 'backward' | 'step' | 'double backward';

/** A row of the results. A step is forward and backward together. */
export interface Case extends Problem {
  readonly task: Task;
  /** Which gradients: `x`, `weight`, `bias`. */
  readonly wrt: readonly string[];
}

export const eps = 1e-5;
export const momentum = 0.1;
/** Of group norm. */
export const groups = 32;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
export const writeShape = (shape: readonly number[]): string => shape.join('×');
export const elementsOf = ({ shape }: Problem): number => product(shape);
/** What identifies the numbers of a problem. */
export const writeProblem = ({ op, shape, layout, training }: Problem): string =>
  [op, writeShape(shape), layout, training ? 'training' : 'frozen'].join(' ');

export function writeTask({ op, training, task, wrt }: Case): string {
  const mode = op === 'batch_norm' ? (training ? 'training' : 'frozen') : '';
  const gradients = task === 'forward' || task === 'double backward' ? '' : `, ${wrt.join(' ')}`;
  return `${mode} ${task}${gradients}`.trim();
}
export const writeCase = (row: Case): string => `${writeProblem(row)}: ${writeTask(row)}`;

/** The inputs that an op differentiates. */
export const inputsOf = (op: OpName): readonly string[] =>
  op === 'rms_norm' ? ['x', 'weight'] : ['x', 'weight', 'bias'];

/** Statistics are over the last dimension, which is also that of weight and bias. */
export const isRowwise = (op: OpName): boolean => op === 'layer_norm' || op === 'rms_norm';

/** The dimensions as they lie in memory. */
export function physicalShape({ shape, layout }: Problem): readonly number[] {
  const [n, c, ...space] = shape as readonly [number, number, ...number[]];
  return layout === 'first' ? shape : [n, ...space, c];
}

export const channelsOf = ({ op, shape }: Problem): number => (isRowwise(op) ? shape.at(-1)! : shape[1]!);

const batchNormShapes = [
  [1, 64, 100, 100],
  [32, 64, 56, 56],
  [32, 256, 14, 14],
  [8, 1024, 7, 7],
  [256, 512],
  [2, 3, 512, 512],
];

const otherOps: readonly (readonly [OpName, readonly number[]])[] = [
  ['layer_norm', [4096, 768]],
  ['rms_norm', [4096, 768]],
  ['group_norm', [32, 256, 14, 14]],
  ['instance_norm', [32, 256, 14, 14]],
];

function batchNormCases(shape: readonly number[], layout: Problem['layout']): Case[] {
  const rows = (training: boolean): Case[] => {
    const problem = { op: 'batch_norm', shape, layout, training } as const;
    const wrt = inputsOf('batch_norm');
    return [
      { ...problem, task: 'forward', wrt },
      { ...problem, task: 'backward', wrt },
      { ...problem, task: 'backward', wrt: ['x'] },
      { ...problem, task: 'step', wrt },
    ];
  };
  const double: Case = { ...rows(true)[0]!, task: 'double backward' };
  return [...rows(true), double, ...rows(false)];
}

function otherCases(op: OpName, shape: readonly number[]): Case[] {
  const problem = { op, shape, layout: 'first', training: true, wrt: inputsOf(op) } as const;
  const tasks =
    op === 'layer_norm' ? (['forward', 'backward', 'step'] as const) : (['forward', 'step'] as const);
  return tasks.map((task) => ({ ...problem, task }));
}

/** All rows, smallest shapes first, so that slow contenders are known before they would take minutes. */
export function allCases(): Case[] {
  const batchNorm = batchNormShapes.flatMap((shape) => [
    ...batchNormCases(shape, 'first'),
    // Without space the layouts are one.
    ...(shape.length > 2 ? batchNormCases(shape, 'last') : []),
  ]);
  const other = otherOps.flatMap(([op, shape]) => otherCases(op, shape));
  return [...batchNorm, ...other].sort((a, b) => elementsOf(a) - elementsOf(b));
}

/** One small row of each kind among the given ones, to check that contenders agree before anything is timed. */
export function smallCases(cases: readonly Case[]): Case[] {
  const small = cases.map((row): Case => {
    if (isRowwise(row.op)) return { ...row, shape: [7, 12] };
    return { ...row, shape: row.shape.length > 2 ? [3, 64, 4, 5] : [9, 64] };
  });
  return [...new Map(small.map((row) => [writeCase(row), row])).values()];
}

/** Batch norm of 1e5 to `largest` elements, to see how time grows. */
export function scalingCases(largest: number): Case[] {
  const rows = [1, 10, 100, 1000].map((n): Case => {
    const problem = { op: 'batch_norm', shape: [n, 100, 1000], layout: 'first', training: true } as const;
    return { ...problem, task: 'step', wrt: inputsOf('batch_norm') };
  });
  return rows.filter((row) => elementsOf(row) <= largest);
}

/** Calls so small that only their overhead counts: 8 elements. */
export function tinyCases(): Case[] {
  const problem = { op: 'batch_norm', shape: [4, 2], layout: 'first', wrt: inputsOf('batch_norm') } as const;
  return [
    { ...problem, training: true, task: 'forward' },
    { ...problem, training: true, task: 'backward' },
    { ...problem, training: false, task: 'forward' },
  ];
}
