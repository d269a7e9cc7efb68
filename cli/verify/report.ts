/** Collects what was checked into one row an op, variant and direction, and lays the rows out as a table. */
import type { Comparison } from './compare.ts';
import type { Quotient } from './order.ts';

export interface Check extends Comparison {
  readonly op: string;
  /** The flags and optional tensors that are on. */
  readonly variant: string;
  /** A direction, or the claim that was checked. */
  readonly what: string;
  readonly column: string;
  readonly tolerance: number;
  /** What was compared, for a message about a failure: tensor, subset, layout, sizes. */
  readonly details: string;
  /** Why there is nothing to compare. */
  readonly problem?: string;
  /** What to show instead of an error: a claim is proved or not, an order of convergence. */
  readonly verdict?: string;
  /** The difference quotients that an order was seen in. */
  readonly sweep?: readonly Quotient[];
}

/** How one column fares in a row. */
export interface Cell {
  /** The largest relative error; null where a check could not be made, or is off beyond numbers. */
  readonly error: number | null;
  readonly tolerance: number;
  readonly checks: number;
  readonly pass: boolean;
  readonly verdict?: string;
  readonly sweep?: readonly Quotient[];
  /** The worst failure. */
  readonly failure?: string;
}

/** One op, variant and direction (or claim), as `--json` gives it. */
export interface RowJson {
  readonly op: string;
  readonly variant: string;
  readonly direction: string;
  readonly pass: boolean;
  readonly targets: { readonly [column: string]: Cell };
}

export interface Report {
  /** Reserves the place of an op's variant: its checks may come later, in any order. */
  readonly open: (op: string, variant: string) => void;
  readonly add: (check: Check) => void;
  /** The directions of a variant together, in their own order; everything else as it was added. */
  readonly rows: () => RowJson[];
}

interface Tally {
  checks: number;
  worst: Check;
  failure?: Check;
}

const directions = ['forward', 'backward', 'jvp', 'double_backward'];

export function createReport(): Report {
  const places: string[] = [];
  const rows = new Map<string, Map<string, Tally>>();
  const open = (op: string, variant: string): void => {
    const place = JSON.stringify([op, variant]);
    if (!places.includes(place)) places.push(place);
  };
  const add = (check: Check): void => {
    const { op, variant, what, column, error, tolerance } = check;
    open(op, variant);
    const key = JSON.stringify([op, variant, what]);
    const tallies = rows.get(key) ?? new Map<string, Tally>();
    rows.set(key, tallies);
    const tally: Tally = tallies.get(column) ?? { checks: 0, worst: check };
    tallies.set(column, tally);
    tally.checks += 1;
    if (error > tally.worst.error) tally.worst = check;
    if (!(error <= tolerance) && (!tally.failure || error > tally.failure.error)) tally.failure = check;
  };
  const inOrder = (): RowJson[] => {
    const found = [...rows].map(([key, tallies]) =>
      rowOf(JSON.parse(key) as [string, string, string], tallies),
    );
    const place = ({ op, variant }: RowJson): number => places.indexOf(JSON.stringify([op, variant]));
    const rank = ({ direction }: RowJson): number => directions.indexOf(direction);
    return found.sort((a, b) => place(a) - place(b) || rank(a) - rank(b));
  };
  return { open, add, rows: inOrder };
}

function rowOf(
  [op, variant, direction]: [string, string, string],
  tallies: ReadonlyMap<string, Tally>,
): RowJson {
  const cells = [...tallies].map(([column, { checks, worst, failure }]): [string, Cell] => [
    column,
    {
      error: Number.isFinite(worst.error) ? worst.error : null,
      tolerance: worst.tolerance,
      checks,
      pass: failure === undefined,
      ...(worst.verdict !== undefined && { verdict: worst.verdict }),
      ...(worst.sweep && { sweep: worst.sweep }),
      ...(failure && { failure: failureText(failure) }),
    },
  ]);
  const pass = cells.every(([, cell]) => cell.pass);
  return { op, variant, direction, pass, targets: Object.fromEntries(cells) };
}

/** One failure, with where it is and both values. */
function failureText(check: Check): string {
  const { op, variant, what, column, details, problem, error, tolerance, at, found, expected } = check;
  const place = `${op} [${variant}] ${what}, ${column}${details && `, ${details}`}`;
  if (problem !== undefined) return `${place}: ${problem}`;
  const size = `error ${error.toExponential(1)}, tolerance ${tolerance}`;
  return `${place}: element ${at} is ${found}, expected ${expected}; ${size}`;
}

/** The rows with a column for each target; a cell is the largest relative error there. */
export function tableText(rows: readonly RowJson[], columns: readonly string[]): string {
  const head = ['op', 'variant', 'direction', ...columns, ''];
  const lines = rows.map(({ op, variant, direction, pass, targets }) => {
    const cells = columns.map((column) => cellText(targets[column]));
    return [op, variant || '(none)', direction, ...cells, pass ? 'ok' : 'FAIL'];
  });
  const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => line[i]!.length)));
  const text = (line: readonly string[]): string =>
    line
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd();
  return [head, ...lines].map((line) => `${text(line)}\n`).join('');
}

const cellText = (cell: Cell | undefined): string => {
  if (!cell) return '-';
  if (cell.verdict !== undefined) return cell.verdict;
  if (cell.error === null) return 'error';
  return cell.error === 0 ? '0' : cell.error.toExponential(1);
};
