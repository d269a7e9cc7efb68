/** Runs every test file in a process of its own, a few at a time, and says at the end how many tests passed. */
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const timeLimit = 900_000;

interface Outcome {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  /** What is wrong with the file as a whole. */
  readonly problems: readonly string[];
  readonly output: string;
  readonly seconds: number;
}

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly isLate: boolean;
}

function execute(file: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, timeLimit);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const end = (status: number | null, signal: NodeJS.Signals | null): void => {
      clearTimeout(timer);
      resolve({ status, signal, output, isLate });
    };
    child.once('error', (error) => {
      output += String(error);
      end(null, null);
    });
    child.once('close', end);
  });
}

/** The numbers that uvu prints after a label, added up over the suites of a file. */
const totalOf = (output: string, label: string): number =>
  [...output.matchAll(new RegExp(`^\\s*${label}:\\s+(\\d+)\\s*$`, 'gm'))].reduce(
    (n, [, k]) => n + Number(k),
    0,
  );

/** Suites that are made and never run report nothing, and would pass. */
function idleSuites(source: string): string[] {
  const made = [...source.matchAll(/\bconst (\w+) = suite\b/g)].map(([, name]) => name!);
  if (/import \{[^}]*\btest\b[^}]*\} from 'uvu'/.test(source)) made.push('test');
  return made.filter((name) => !source.includes(`${name}.run()`));
}

async function runFile(file: string): Promise<Outcome> {
  const start = performance.now();
  const idle = idleSuites(await readFile(file, 'utf8'));
  const { status, signal, output, isLate } = await execute(file);
  const [total, passed, skipped] = ['Total', 'Passed', 'Skipped'].map((label) => totalOf(output, label));
  const failed = total! - passed! - skipped!;
  const problems = idle.map((name) => `the suite '${name}' is never run`);
  if (isLate) problems.push(`it took longer than ${timeLimit / 1000} s`);
  else if (signal) problems.push(`it was ended by ${signal}`);
  else if (total === 0) problems.push('it reports no tests');
  if (skipped! > 0) problems.push(`it skips ${skipped} tests`);
  if (status !== 0 && failed === 0 && problems.length === 0) problems.push(`its exit status is ${status}`);
  const seconds = (performance.now() - start) / 1000;
  return { file: relative(root, file), passed: passed!, failed, problems, output, seconds };
}

function report({ file, passed, failed, problems, output, seconds }: Outcome): void {
  const isFine = failed === 0 && problems.length === 0;
  const counts = isFine ? `${passed} passed` : `${passed} passed, ${failed} failed`;
  console.log(`${isFine ? 'ok  ' : 'FAIL'} test/${file}: ${counts} (${seconds.toFixed(1)} s)`);
  if (isFine) return;
  for (const line of output.trimEnd().split('\n')) console.log(`     ${line}`);
  for (const problem of problems) console.log(`FAIL test/${file}: ${problem}`);
}

/** Files named on the command line, as parts of their paths, or all. Those that take long start first. */
async function findFiles(wanted: readonly string[]): Promise<string[]> {
  const all = await readdir(root, { recursive: true });
  const tests = all.filter((file) => file.endsWith('.test.ts'));
  const chosen = tests.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
  const isLong = (file: string): boolean => /compiler.(?:gradients|golden|unusual)|cli./.test(file);
  return chosen.sort((a, b) => Number(isLong(b)) - Number(isLong(a)) || (a < b ? -1 : 1));
}

const files = await findFiles(process.argv.slice(2));
const waiting = files.map((file) => join(root, file));
const outcomes: Outcome[] = [];
async function work(): Promise<void> {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const outcome = await runFile(file);
    outcomes.push(outcome);
    report(outcome);
  }
}
await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, work));
const passed = outcomes.reduce((n, o) => n + o.passed, 0);
const failed = outcomes.reduce((n, o) => n + o.failed + o.problems.length, 0);
if (outcomes.length === 0) console.log('there are no test files');
const broken = outcomes.filter((o) => o.failed + o.problems.length > 0).map(({ file }) => `test/${file}`);
if (broken.length > 0) console.log(`failed: ${broken.sort().join(', ')}`);
process.exitCode = failed > 0 || outcomes.length === 0 ? 1 : 0;
console.log(`tests: ${passed} passed, ${failed} failed`);
