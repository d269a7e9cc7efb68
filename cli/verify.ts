/** `normgrad verify`: every derivation, kernel and claim of a spec, checked with numbers. */
import { compile, type Target as Generated } from '../compiler/compile.ts';
import type { Direction, Entry } from '../compiler/spec/spec.ts';
import { cpu } from '../runtime/index.ts';
import { someOf, type Values } from './arguments.ts';
import { interpreted } from './interpreter.ts';
import { type Io, reasonOf } from './io.ts';
import { checkOp, defaultSpec, readSpec, showDiagnostics } from './spec.ts';
import { openEngines, targets } from './verify/engines.ts';
import { type Job, verifyEntry } from './verify/entry.ts';
import { checkGolden, type Golden, readGolden } from './verify/golden.ts';
import { problemOf } from './verify/kernels.ts';
import { createReport, failureText, type Report, rowToJson, tableText } from './verify/report.ts';

const directions: readonly Direction[] = ['forward', 'backward', 'jvp', 'double_backward'];

/** Exit status 1 where the spec has mistakes or any check failed. */
export async function verify(values: Values, io: Io): Promise<number> {
  const { options } = values;
  const file = values.operands[0] ?? defaultSpec;
  const chosen = someOf('target', options.get('target'), targets);
  const only = options.get('only');
  const isJson = options.has('json');
  const started = performance.now();
  const text = await readSpec(file);
  const goldenFile = options.get('golden');
  const golden = goldenFile === undefined ? undefined : await readGolden(goldenFile);
  const { spec, diagnostics, files } = await compile(text, {
    file,
    targets: chosen.filter((target): target is Generated => target !== 'interpret'),
    ...(only !== undefined && { only }),
    // Golden vectors may have directions that the spec does not ask for.
    adapt: (entry) => (entry.name === golden?.op ? { ...entry, generate: directions } : entry),
  });
  if (diagnostics.length > 0) {
    showDiagnostics({ diagnostics, text, file }, isJson, io);
    return 1;
  }
  const names = spec.entries.map(({ name }) => name);
  checkOp(only, names);
  checkOp(golden?.op, only === undefined ? names : [only]);
  const report = createReport();
  const engines = await openEngines(chosen, files, io);
  const show = (what: string): void => {
    if (io.isWatched) io.err(`\r\u001B[K${what}`);
  };
  try {
    for (const entry of spec.entries)
      if (only === undefined || entry.name === only) await verifyEntry(entry, { engines, report, show });
    const entry = spec.entries.find(({ name }) => name === golden?.op);
    if (golden && entry) await verifyGolden(golden, entry, { engines, report, show });
  } finally {
    engines.dispose();
    show('');
  }
  const seconds = (performance.now() - started) / 1000;
  return conclude(report, engines.columns, { isJson, seconds }, io);
}

async function verifyGolden(golden: Golden, entry: Entry, { engines, report, show }: Job): Promise<void> {
  const interpreter = {
    name: 'interpret',
    engine: { device: cpu(), dtype: 'f64' },
    ops: new Map([[entry.name, interpreted(entry)]]),
  } as const;
  const columns = [
    ...(engines.columns.includes(interpreter.name) ? [interpreter] : []),
    ...engines.generated,
  ];
  const variant = `${golden.cases.length} golden vectors`;
  for (const { name: column, engine, ops } of columns) {
    for (const one of golden.cases) {
      const id = one.id ?? 'a case';
      show(`golden vectors, ${column}, ${id}`);
      const checks = await checkGolden(one, ops.get(entry.name)!, engine).catch((error: unknown) => [
        problemOf('forward', id, reasonOf(error)),
      ]);
      for (const check of checks) report.add({ op: entry.name, variant, column, ...check });
    }
  }
}

function conclude(
  report: Report,
  columns: readonly string[],
  { isJson, seconds }: { isJson: boolean; seconds: number },
  io: Io,
): number {
  const rows = report.rows();
  const failures = report.failures();
  const pass = failures.length === 0;
  if (isJson) {
    io.out(`${JSON.stringify({ diagnostics: [], pass, rows: rows.map(rowToJson) }, null, 2)}\n`);
  } else {
    const [claims, others] = [true, false].map((is) => rows.filter(({ cells }) => cells.has('claim') === is));
    io.out(tableText(others!, columns));
    if (claims!.length > 0) io.out(`\n${tableText(claims!, ['claim'])}`);
    if (!pass) io.out(`\n${failures.map(failureText).join('')}`);
  }
  const count = rows.flatMap(({ cells }) => [...cells.values()]).reduce((n, { checks }) => n + checks, 0);
  const outcome = pass ? 'all agree' : `${failures.length} failed`;
  io.err(`${count} comparisons, ${outcome} (${seconds.toFixed(1)} s)\n`);
  return pass ? 0 : 1;
}
