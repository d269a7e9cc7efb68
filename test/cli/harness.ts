/** Runs the command line in this process, with its output collected. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../cli/main.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly input?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** Called with each piece of what is written, to either stream. */
  readonly onText?: (text: string) => void;
}

export async function normgrad(
  argv: readonly string[],
  { input = '', signal, onText }: Surroundings = {},
): Promise<Outcome> {
  const [out, err]: [string[], string[]] = [[], []];
  const status = await main(argv, {
    out: (text) => {
      out.push(text);
      onText?.(text);
    },
    err: (text) => {
      err.push(text);
      onText?.(text);
    },
    input: async () => (typeof input === 'string' ? new TextEncoder().encode(input) : input),
    isWatched: false,
    ...(signal && { signal }),
  });
  return { status, out: out.join(''), err: err.join('') };
}

/** A folder that is removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'normgrad-test-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Modification times by path, for everything in a folder. */
export function timesIn(folder: string): { [path: string]: number } {
  const paths = readdirSync(folder, { recursive: true }) as string[];
  return Object.fromEntries(paths.sort().map((path) => [path, statSync(join(folder, path)).mtimeMs]));
}

/** An op with a gradient to claim. */
export const scaled = (claim: string): string => `# names in scope: x, w, k
- name: scaled(Tensor x[n, c], Tensor? w[c], *, bool twice = false, float k = 2) -> Tensor y[n, c]
  absent: {w: 1}
  forward:
    y: "(twice ? 2 * k : k) * x * w + sum(x ^ 2, n)"
  gradients:
    x: "${claim}"
`;
export const rightClaim = '(twice ? 2 * k : k) * w * grad + 2 * x * sum(grad, n)';
export const wrongClaim = '(twice ? k : k) * w * grad + 2 * x * sum(grad, n)';
