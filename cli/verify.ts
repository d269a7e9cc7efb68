/** `normgrad verify`: every derivation, kernel and claim of a spec, checked with numbers. */
import { compile, type Target as Generated } from '../compiler/compile.ts';
import { parseSpec } from '../compiler/spec/parse.ts';
import type { Direction, Entry } from '../compiler/spec/spec.ts';
import { variantsOf } from '../compiler/spec/variants.ts';
import { cpu } from '../runtime/index.ts';
import { someOf, type Values } from './arguments.ts';
import { interpreted } from './interpreter.ts';
import { type Io, reasonOf } from './io.ts';
import { checkOp, defaultSpec, readSpec, showDiagnostics } from './spec.ts';
import { isWorthwhile, verifyApart } from './verify/apart.ts';
import { columnsOf, openEngines, type Target, targets } from './verify/engines.ts';
import { type Job, verifyEntry } from './verify/entry.ts';
import { checkGolden } from './verify/golden.ts';
import { type Golden, readGolden, takeCases } from './verify/golden-file.ts';
import { problemOf } from './verify/kernels.ts';
import { createReport, type RowJson, tableText } from './verify/report.ts';

const directions: readonly Direction[] = ['forward', 'backward', 'jvp', 'double_backward'];

/** Exit status 1 where the spec has mistakes or any check failed. */
export async function verify(values: Values, io: Io): Promise<number> {
  const { options } = values;
  const file = values.operands[0] ?? defaultSpec;
  const chosen = someOf('target', options.get('target'), targets);
  const only = options.get('only');
  const isJson = options.has('json');
  const started = performance.now();
  const text = await readSpec(file, 'normgrad verify SPEC');
  const goldenFile = options.get('golden');
  const goldens = goldenFile === undefined ? undefined : await readGolden(goldenFile);
  const { spec, diagnostics } = parseSpec(text, file);
  if (diagnostics.length > 0) {
    showDiagnostics({ diagnostics, text, file }, isJson, io);
    return 1;
  }
  const names = spec.entries.map(({ name }) => name);
  checkOp(only, names);
  const golden = goldens && takeCases(goldens, spec.entries, only);
  const entries = spec.entries.filter(({ name }) => only === undefined || name === only);
  const show = (what: string): void => {
    if (io.isWatched) io.err(`\r\u001B[K${what}`);
  };
  const parts = entries.map((entry) => ({
    op: entry.name,
    weight: variantsOf(entry).length * entry.layouts.length * entry.generate.length,
    argv: [
      file,
      '--target',
      chosen.join(','),
      ...(golden?.op === entry.name ? ['--golden', golden.file] : []),
    ],
  }));
  const rows =
    chosen.includes('wgsl') && isWorthwhile(parts.length)
      ? await verifyApart(parts, io, show)
      : await verifyHere({ text, file, only, chosen, entries, golden }, io, show);
  show('');
  const seconds = (performance.now() - started) / 1000;
  return conclude(rows, chosen, { isJson, seconds }, io);
}

interface Task {
  readonly text: string;
  readonly file: string;
  readonly only: string | undefined;
  readonly chosen: readonly Target[];
  readonly entries: readonly Entry[];
  readonly golden: Golden | undefined;
}

async function verifyHere(task: Task, io: Io, show: (what: string) => void): Promise<RowJson[]> {
  const { text, file, only, chosen, entries, golden } = task;
  const { files } = await compile(text, {
    file,
    targets: chosen.filter((target): target is Generated => target !== 'interpret'),
    ...(only !== undefined && { only }),
    // Golden vectors may have directions that the spec does not ask for.
    adapt: (entry) => (entry.name === golden?.op ? { ...entry, generate: directions } : entry),
  });
  const report = createReport();
  const engines = await openEngines(chosen, files, io);
  try {
    for (const entry of entries) {
      await verifyEntry(entry, { engines, report, show });
      if (golden?.op === entry.name) await verifyGolden(golden, entry, { engines, report, show });
    }
  } finally {
    engines.dispose();
  }
  return report.rows();
}

async function verifyGolden(golden: Golden, entry: Entry, { engines, report, show }: Job): Promise<void> {
  const interpreter = {
    name: 'interpret',
    engine: { device: cpu({ target: 'typescript' }), dtype: 'f64' },
    ops: new Map([[entry.name, interpreted(entry)]]),
  } as const;
  const columns = [
    ...(engines.columns.includes(interpreter.name) ? [interpreter] : []),
    ...engines.generated,
  ];
  const variant = `${golden.cases.length} golden vectors`;
  for (const { name: column, engine, ops } of columns) {
    for (const one of golden.cases) {
      show(`golden vectors, ${column}, ${one.id}`);
      const checks = await checkGolden(one, ops.get(entry.name)!, engine).catch((error: unknown) => [
        problemOf('forward', one.id, reasonOf(error)),
      ]);
      for (const check of checks) report.add({ op: entry.name, variant, column, ...check });
    }
  }
}

function conclude(
  rows: readonly RowJson[],
  chosen: readonly Target[],
  { isJson, seconds }: { isJson: boolean; seconds: number },
  io: Io,
): number {
  const cells = rows.flatMap(({ targets: of }) => Object.values(of));
  const failures = cells.flatMap(({ failure }) => failure ?? []);
  const pass = failures.length === 0;
  if (isJson) {
    io.out(`${JSON.stringify({ diagnostics: [], pass, rows }, null, 2)}\n`);
  } else {
    const claims = rows.filter((row) => 'claim' in row.targets);
    io.out(
      tableText(
        rows.filter((row) => !claims.includes(row)),
        columnsOf(chosen),
      ),
    );
    if (claims.length > 0) io.out(`\n${tableText(claims, ['claim'])}`);
    if (!pass) io.out(`\n${failures.join('\n')}\n`);
  }
  const count = cells.reduce((total, { checks }) => total + checks, 0);
  const outcome = pass ? 'all agree' : `${failures.length} failed`;
  io.err(`${count} comparisons, ${outcome} (${seconds.toFixed(1)} s)\n`);
  return pass ? 0 : 1;
}
