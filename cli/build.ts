/** `normgrad build`: from a spec to its files. */
import { setFlagsFromString } from 'node:v8';
import type { Tools } from '../compiler/emit/tools.ts';
import { targets } from '../compiler/targets.ts';
import { someOf, type Values } from './arguments.ts';
import { differenceText } from './difference.ts';
import { type Io, UsageError } from './io.ts';
import { leftIn } from './leftovers.ts';
import { type Changes, compare, type Files, generatedIn, isSame, refuseForeign, update } from './output.ts';
import { showError } from './show-error.ts';
import { checkOp, defaultSpec, readSpec, showDiagnostics } from './spec.ts';
import { openTools } from './tools.ts';
import { watch } from './watch.ts';

/** Exit status 1 where the spec has mistakes, or with `--check` where the folder is not what would be written. */
export async function build(values: Values, io: Io): Promise<number> {
  const { options } = values;
  const file = values.operands[0] ?? defaultSpec;
  const job: Job = {
    file,
    folder: options.get('out') ?? 'generated',
    targets: someOf('target', options.get('target'), targets),
    only: options.get('only'),
    isCheck: options.has('check'),
    isJson: options.has('json'),
  };
  const isWatching = options.has('watch');
  if (isWatching && job.isCheck) throw new UsageError('--check and --watch do not go together');
  const read = (): Promise<string> => readSpec(file, 'normgrad build SPEC');
  const text = isWatching ? undefined : await read();
  delayOptimisation();
  const tools = openTools(job.targets);
  const once = (spec: string): Promise<number> => buildOnce(job, spec, tools, io);
  const show = (error: unknown): void => void showError(error, job.isJson, io);
  return (text === undefined ? watch({ file, read, build: once, show }, io) : once(text)).finally(
    tools.close,
  );
}

/**
 * A build is too short for most of what V8 optimises meanwhile: it waits for many times as many calls as usual. Flags
 * differ between versions, and V8 reports those it does not know on standard error; these are of Node 20 and 21.
 */
function delayOptimisation(): void {
  if (!process.versions.v8.startsWith('11.')) return;
  setFlagsFromString('--interrupt-budget=2000000');
  setFlagsFromString('--wasm-tiering-budget=20000000');
}

interface Job {
  readonly file: string;
  readonly folder: string;
  readonly targets: readonly (typeof targets)[number][];
  readonly only: string | undefined;
  readonly isCheck: boolean;
  readonly isJson: boolean;
}

type Merge = typeof import('./merge.ts').mergeOp;

async function buildOnce(job: Job, text: string, tools: Tools, io: Io): Promise<number> {
  const { file, only } = job;
  const started = performance.now();
  // loaded here so that the other thread can start before
  const { compile } = await import('../compiler/compile.ts');
  const { spec, diagnostics, files } = await compile(text, {
    file,
    targets: job.targets,
    tools,
    ...(only !== undefined && { only }),
  });
  if (diagnostics.length > 0) {
    showDiagnostics({ diagnostics, text, file }, job.isJson, io);
    if (!job.isJson) io.err('Nothing was written.\n');
    return 1;
  }
  const names = spec.entries.map(({ name }) => name);
  checkOp(only, names);
  const { mergeOp } = await import('./merge.ts');
  const look = (): Changes => {
    const changes = changesOf(job, mergeOp, files, names);
    refuseForeign(changes);
    return changes;
  };
  if (job.isCheck) return check(look(), job, io);
  const changes = withoutInterruption(() => update(look));
  report(changes, job, performance.now() - started, io);
  return 0;
}

function changesOf({ folder, only }: Job, mergeOp: Merge, files: Files, names: readonly string[]): Changes {
  if (only === undefined) return compare(folder, files);
  const merged = mergeOp(files, generatedIn(folder), only, names);
  return compare(folder, merged, (path) => path.startsWith(`${only}/`));
}

function check(found: Changes, { isJson, folder }: Job, io: Io): number {
  const changes = { ...found, removed: [...found.removed, ...leftIn(folder)].sort() };
  const { added, changed, removed } = changes;
  if (isJson)
    io.out(`${JSON.stringify({ diagnostics: [], changed, missing: added, extra: removed }, null, 2)}\n`);
  else io.out(differenceText(changes));
  if (isSame(changes)) {
    io.err(`${folder} is up to date\n`);
    return 0;
  }
  const counts = [`${changed.length} changed`, `${added.length} missing`, `${removed.length} left over`];
  io.err(`${folder} is not up to date: ${counts.join(', ')}; run normgrad build\n`);
  return 1;
}

function report(changes: Changes, { isJson, folder }: Job, milliseconds: number, io: Io): void {
  const { added, changed, removed, unchanged } = changes;
  if (isJson) {
    const written = [...added, ...changed].sort();
    io.out(
      `${JSON.stringify({ diagnostics: [], written, removed, unchanged: unchanged.length }, null, 2)}\n`,
    );
    return;
  }
  const counts = [
    `${added.length + changed.length} written`,
    ...(removed.length > 0 ? [`${removed.length} removed`] : []),
    `${unchanged.length} unchanged`,
  ];
  io.err(`${folder}: ${counts.join(', ')} (${(milliseconds / 1000).toFixed(1)} s)\n`);
}

/** Runs something that never pauses; an interrupt that comes meanwhile ends the program afterwards. */
function withoutInterruption<T>(work: () => T): T {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const status = { SIGINT: 130, SIGTERM: 143 };
  const end = (signal: (typeof signals)[number]): never => process.exit(status[signal]);
  for (const signal of signals) process.once(signal, end);
  try {
    return work();
  } finally {
    // Signals are delivered between turns of the event loop.
    setImmediate(() => {
      for (const signal of signals) process.off(signal, end);
    });
  }
}
