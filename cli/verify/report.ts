/** Collects what was checked into one row an op, variant and direction, and lays the rows out as a table. */
import type { Comparison } from './compare.ts';

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
}

interface Cell {
  error: number;
  tolerance: number;
  checks: number;
  failure?: Check;
}

export interface Row {
  readonly op: string;
  readonly variant: string;
  readonly what: string;
  readonly cells: ReadonlyMap<string, Cell>;
}

export interface Report {
  /** Reserves the place of an op's variant: its checks may come later, in any order. */
  readonly open: (op: string, variant: string) => void;
  readonly add: (check: Check) => void;
  readonly rows: () => readonly Row[];
  readonly failures: () => readonly Check[];
}

export function createReport(): Report {
  const rows = new Map<string, Row & { cells: Map<string, Cell> }>();
  const places: string[] = [];
  const open = (op: string, variant: string): void => {
    const place = JSON.stringify([op, variant]);
    if (!places.includes(place)) places.push(place);
  };
  return {
    open,
    add: (check) => {
      const { op, variant, what, column, error, tolerance } = check;
      open(op, variant);
      const key = JSON.stringify([op, variant, what]);
      const row = rows.get(key) ?? { op, variant, what, cells: new Map() };
      rows.set(key, row);
      const cell: Cell = row.cells.get(column) ?? { error: 0, tolerance, checks: 0 };
      row.cells.set(column, cell);
      cell.checks += 1;
      const isWorse = error >= cell.error;
      if (isWorse) cell.error = error;
      if ((isWorse || !cell.failure) && !(error <= tolerance)) cell.failure = check;
    },
    rows: () => inOrder([...rows.values()], places),
    failures: () =>
      [...rows.values()].flatMap(({ cells }) => [...cells.values()].flatMap(({ failure }) => failure ?? [])),
  };
}

const directions = ['forward', 'backward', 'jvp', 'double_backward'];

/** The directions of a variant together, in their own order; everything else as it was added. */
function inOrder<R extends Row>(rows: readonly R[], places: readonly string[]): R[] {
  const place = ({ op, variant }: R): number => places.indexOf(JSON.stringify([op, variant]));
  const rank = ({ what }: R): number => directions.indexOf(what);
  return [...rows].sort((a, b) => place(a) - place(b) || rank(a) - rank(b));
}

/** The rows with a column for each target; a cell is the largest relative error there. */
export function tableText(rows: readonly Row[], columns: readonly string[]): string {
  const head = ['op', 'variant', 'direction', ...columns, ''];
  const lines = rows.map(({ op, variant, what, cells }) => {
    const failed = [...cells.values()].some(({ failure }) => failure);
    return [
      op,
      variant || '(none)',
      what,
      ...columns.map((column) => cellText(cells.get(column))),
      failed ? 'FAIL' : 'ok',
    ];
  });
  const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => line[i]!.length)));
  return [head, ...lines]
    .map(
      (line) =>
        `${line
          .map((text, i) => text.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

const cellText = (cell: Cell | undefined): string => {
  if (!cell) return '-';
  if (cell.failure?.problem !== undefined) return 'error';
  return cell.error === 0 ? '0' : cell.error.toExponential(1);
};

/** One failure, with where it is and both values. */
export function failureText(check: Check): string {
  const { op, variant, what, column, details, problem, error, tolerance, at, found, expected } = check;
  const place = `${op} [${variant}] ${what}, ${column}${details && `, ${details}`}`;
  if (problem !== undefined) return `${place}: ${problem}\n`;
  return `${place}: element ${at} is ${found}, expected ${expected}; error ${error.toExponential(1)}, tolerance ${tolerance}\n`;
}

/** The same as data; infinite errors are null, as JSON has them. */
export function rowToJson({ op, variant, what, cells }: Row): object {
  const results = [...cells].map(([column, { error, tolerance, checks, failure }]) => [
    column,
    {
      error,
      tolerance,
      checks,
      pass: failure === undefined,
      ...(failure && { failure: failureText(failure).trim() }),
    },
  ]);
  return {
    op,
    variant,
    direction: what,
    pass: [...cells.values()].every(({ failure }) => !failure),
    targets: Object.fromEntries(results),
  };
}
