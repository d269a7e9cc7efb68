/** The options of the command. */
import { parseArgs } from 'node:util';
import { type Case, writeShape } from './cases.ts';

export interface Options {
  readonly quick: boolean;
  readonly peers: boolean;
  /** Words, one of which a contender's name must contain. */
  readonly targets: readonly string[];
  readonly includes: (row: Case) => boolean;
  readonly scaling: boolean;
  readonly tiny: boolean;
  /** Where the results go. */
  readonly out: string;
}

export const help = `npm run bench -- [options]

  --quick               fewer rounds and shapes; 2 to 3 minutes
  --targets wasm,jax    only contenders whose name contains one of these
  --shapes 256x512,…    only these shapes
  --ops layer_norm,…    only these ops
  --tasks step,…        only these tasks: forward, backward, step, double
  --only rows|scaling|tiny   only one part
  --no-peers            ours alone
  --out DIR             where results.md and results.svg go, bench by default`;

const split = (list: string | undefined): string[] => list?.split(',').map((word) => word.trim()) ?? [];

/** Throws on options that are not known. Without values they include everything. */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      targets: { type: 'string' },
      shapes: { type: 'string' },
      ops: { type: 'string' },
      tasks: { type: 'string' },
      only: { type: 'string' },
      out: { type: 'string', default: 'bench' },
      'no-peers': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const shapes = split(values.shapes).map((shape) => shape.replaceAll('x', '×'));
  const [ops, tasks] = [split(values.ops), split(values.tasks)];
  const quickShapes = ['1×64×100×100', '256×512'];
  const wanted = shapes.length === 0 && values.quick ? quickShapes : shapes;
  const among = (list: readonly string[], word: string) =>
    list.length === 0 || list.some((part) => word.startsWith(part));
  const part = (name: string) => values.only === undefined || values.only === name;
  return {
    quick: values.quick,
    peers: !values['no-peers'],
    targets: split(values.targets),
    includes: (row) =>
      part('rows') && among(wanted, writeShape(row.shape)) && among(ops, row.op) && among(tasks, row.task),
    scaling: part('scaling'),
    tiny: part('tiny'),
    out: values.out,
  };
}
