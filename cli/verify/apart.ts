/** Verifies each op in a process of its own, as many at a time as there are cores. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Failure, type Io } from '../io.ts';
import type { RowJson } from './report.ts';

/** Where the program is, seen from the sources or from the built package. */
const program = ['../../bin/normgrad.js', '../../../bin/normgrad.js']
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((path) => existsSync(path));

/** Whether that is faster: a software GPU compiles kernels one at a time in each process, and that takes the longest. */
export const isWorthwhile = (ops: number): boolean =>
  program !== undefined && ops > 1 && availableParallelism() > 1;

export interface Part {
  readonly op: string;
  /** How long it takes, compared with others. */
  readonly weight: number;
  /** The arguments of its `normgrad verify --json`. */
  readonly argv: readonly string[];
}

/** The rows of all parts, in their order. Throws a `Failure` where one cannot be run. */
export async function verifyApart(
  parts: readonly Part[],
  io: Io,
  show: (text: string) => void,
): Promise<RowJson[]> {
  const rows = new Map<Part, RowJson[]>();
  const waiting = [...parts].sort((a, b) => a.weight - b.weight);
  const said = new Set<string>();
  const work = async (): Promise<void> => {
    for (let part = waiting.pop(); part; part = waiting.pop()) {
      show(part.op);
      const { found, adapter } = await verifyPart(part);
      rows.set(part, found);
      if (adapter !== undefined && !said.has(adapter)) io.err(`${adapter}\n`);
      if (adapter !== undefined) said.add(adapter);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return parts.flatMap((part) => rows.get(part) ?? []);
}

async function verifyPart({ op, argv }: Part): Promise<{ found: RowJson[]; adapter: string | undefined }> {
  const child = spawn(process.execPath, [program!, 'verify', ...argv, '--only', op, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // A parent that ends early takes its children with it.
  const end = (): void => void child.kill();
  process.once('exit', end);
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  process.off('exit', end);
  const adapter = err.split('\n').find((line) => line.startsWith('wgsl on '));
  try {
    return { found: (JSON.parse(out) as { rows: RowJson[] }).rows, adapter };
  } catch {
    const reason = err.trim().replace(/^normgrad: /, '') || `it ended with status ${status}`;
    throw new Failure(`cannot verify ${op}: ${reason}`);
  }
}
