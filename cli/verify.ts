/** `normgrad verify`: every derivation, kernel and claim of a spec, checked with numbers. */
import { type CompileResult, compile, type Target } from '../compiler/compile.ts';
import type { Direction, Entry } from '../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../compiler/spec/variants.ts';
import { cpu, type OpDescription, webgpu } from '../runtime/index.ts';
import { someOf, type Values } from './arguments.ts';
import { interpreted } from './interpreter.ts';
import { Failure, type Io, reasonOf } from './io.ts';
import { load } from './load.ts';
import type { Engine } from './session.ts';
import { checkOp, defaultSpec, readSpec, showDiagnostics } from './spec.ts';
import { checkClaims, claimsOf, claimTolerance } from './verify/claims.ts';
import { checkDerivation, NotSmooth } from './verify/derivation.ts';
import { checkGolden, type Golden, readGolden } from './verify/golden.ts';
import { checkKernels, expectedOf } from './verify/kernels.ts';
import { type Graphs, graphsOf } from './verify/reference.ts';
import { type Check, createReport, failureText, type Report, rowToJson, tableText } from './verify/report.ts';
import { type Sample, type Sizing, sample } from './verify/samples.ts';

const targets = ['interpret', 'typescript', 'wgsl'] as const;
const differencesTolerance = 1e-6;

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
  const compiled = await compile(text, {
    file,
    targets: chosen.filter((target): target is Target => target !== 'interpret'),
    ...(only !== undefined && { only }),
    adapt: (entry) => (entry.name === golden?.op ? { ...entry, generate: directions } : entry),
  });
  const { spec, diagnostics } = compiled;
  if (diagnostics.length > 0) {
    showDiagnostics({ diagnostics, text, file }, isJson, io);
    return 1;
  }
  const names = spec.entries.map(({ name }) => name);
  checkOp(only, names);
  if (golden) checkOp(golden.op, names);
  const entries = spec.entries.filter(({ name }) => only === undefined || name === only);
  const report = createReport();
  const engines = await openEngines(chosen, compiled, io);
  try {
    for (const entry of entries) await verifyEntry(entry, { chosen, engines, report, io });
    if (golden)
      await verifyGolden(golden, spec.entries.find(({ name }) => name === golden.op)!, {
        chosen,
        engines,
        report,
        io,
      });
  } finally {
    engines.dispose();
    progress(io, '');
  }
  return conclude(report, engines.columns, { isJson, seconds: (performance.now() - started) / 1000 }, io);
}

const directions: readonly Direction[] = ['forward', 'backward', 'jvp', 'double_backward'];

interface Column {
  readonly name: string;
  readonly engine: Engine;
  readonly ops: ReadonlyMap<string, OpDescription>;
  readonly isGpu: boolean;
}

interface Engines {
  /** Generated code, by the column it has in the table. */
  readonly generated: readonly Column[];
  readonly columns: readonly string[];
  readonly dispose: () => void;
}

async function openEngines(chosen: readonly string[], { files }: CompileResult, io: Io): Promise<Engines> {
  const generated: Column[] = [];
  const isGenerated = chosen.some((target) => target !== 'interpret');
  const { ops, dispose } = isGenerated ? await load(files) : { ops: new Map(), dispose: () => {} };
  if (chosen.includes('typescript')) {
    for (const dtype of ['f64', 'f32'] as const)
      generated.push({ name: `typescript ${dtype}`, engine: { device: cpu(), dtype }, ops, isGpu: false });
  }
  if (chosen.includes('wgsl')) {
    const { openDevice } = await import('./device.ts');
    const opened = await openDevice().catch((error: unknown) => {
      throw new Failure(`${reasonOf(error)}\nTo check without a GPU: --target interpret,typescript`);
    });
    io.err(`wgsl on ${opened.description}\n`);
    generated.push({
      name: 'wgsl f32',
      engine: { device: webgpu(opened.device), dtype: 'f32' },
      ops,
      isGpu: true,
    });
  }
  const columns = [
    ...(chosen.includes('interpret') ? ['interpret'] : []),
    ...generated.map(({ name }) => name),
  ];
  return { generated, columns, dispose };
}

interface Job {
  readonly chosen: readonly string[];
  readonly engines: Engines;
  readonly report: Report;
  readonly io: Io;
}

type Adder = (check: Omit<Check, 'op' | 'variant'>) => void;

const problem = (what: string, column: string, text: string): Omit<Check, 'op' | 'variant'> => ({
  what,
  column,
  problem: text,
  details: '',
  error: Number.POSITIVE_INFINITY,
  tolerance: 0,
  at: 0,
  found: Number.NaN,
  expected: Number.NaN,
});

async function verifyEntry(entry: Entry, job: Job): Promise<void> {
  for (const [turn, variant] of variantsOf(entry).entries()) {
    const key = variantKey(entry, variant);
    progress(job.io, `${entry.name} [${key}]`);
    const add: Adder = (check) => job.report.add({ op: entry.name, variant: key, ...check });
    const graphs = graphsOf(entry, variant);
    const sizings: Sizing[] = ['small', 'ones', 'odd', 'round', ...(turn === 0 ? ['long' as const] : [])];
    const samples = sizings.flatMap((sizing) => {
      const found = sample(graphs.forward, sizing, `${entry.name} ${key}`, turn);
      return found ? [[sizing, found] as const] : [];
    });
    if (samples.length === 0)
      add(
        problem(
          'forward',
          job.engines.columns[0]!,
          'found no inputs that its requirements allow and whose results are finite',
        ),
      );
    if (job.chosen.includes('interpret')) verifyDerivation(graphs, `${entry.name} ${key}`, turn, add);
    verifyClaims(
      graphs,
      samples.slice(0, 2).map(([, s]) => s),
      add,
    );
    for (const [, found] of samples) await verifyKernels(graphs, found, job.engines.generated, add);
  }
}

/** How often another sample is drawn where one is too near a kink. */
const draws = 8;

function verifyDerivation(graphs: Graphs, seed: string, turn: number, add: Adder): void {
  for (const sizing of ['small', 'ones', 'small'] as const) {
    for (let draw = 0; ; draw++) {
      const found = sample(graphs.forward, sizing, `${seed} ${draw}`, turn + draw);
      if (!found) return;
      try {
        const isElementwise = sizing === 'small' && draw === 0;
        for (const check of checkDerivation(graphs, found, isElementwise))
          add({ ...check, column: 'interpret', tolerance: differencesTolerance });
        break;
      } catch (error) {
        if (!(error instanceof NotSmooth)) throw error;
        if (draw < draws) continue;
        add(
          problem(
            'backward',
            'interpret',
            'found no inputs where difference quotients settle: a kink is always near',
          ),
        );
        break;
      }
    }
  }
}

function verifyClaims(graphs: Graphs, samples: readonly Sample[], add: Adder): void {
  const claims = claimsOf(graphs);
  for (const found of samples)
    for (const check of checkClaims(graphs, claims, found))
      add({ ...check, column: 'claim', tolerance: claimTolerance });
}

async function verifyKernels(
  graphs: Graphs,
  found: Sample,
  columns: readonly Column[],
  add: Adder,
): Promise<void> {
  const { entry } = graphs.forward;
  const expected = expectedOf(graphs, found);
  for (const { name, engine, ops } of columns) {
    try {
      for (const check of await checkKernels(expected, ops.get(entry.name)!, engine, entry.generate))
        add({ ...check, column: name });
    } catch (error) {
      add(problem('forward', name, reasonOf(error)));
    }
  }
}

async function verifyGolden(
  golden: Golden,
  entry: Entry,
  { chosen, engines, report, io }: Job,
): Promise<void> {
  const own = {
    name: 'interpret',
    engine: { device: cpu(), dtype: 'f64' },
    ops: new Map([[entry.name, interpreted(entry)]]),
  } as const;
  for (const { name, engine, ops } of [
    ...(chosen.includes('interpret') ? [own] : []),
    ...engines.generated,
  ]) {
    for (const one of golden.cases) {
      progress(io, `golden vectors, ${name}, ${one.id ?? ''}`);
      const add: Adder = (check) =>
        report.add({ op: entry.name, variant: `${golden.cases.length} golden vectors`, ...check });
      try {
        for (const check of await checkGolden(one, ops.get(entry.name)!, engine))
          add({ ...check, column: name });
      } catch (error) {
        add(problem('forward', name, `${one.id ?? 'a case'}: ${reasonOf(error)}`));
      }
    }
  }
}

/** Shows on a terminal what is being checked. */
function progress(io: Io, text: string): void {
  if (io.isWatched) io.err(`\r\u001B[K${text}`);
}

function conclude(
  report: Report,
  columns: readonly string[],
  { isJson, seconds }: { isJson: boolean; seconds: number },
  io: Io,
): number {
  const rows = report.rows();
  const failures = report.failures();
  if (isJson) {
    io.out(
      `${JSON.stringify({ diagnostics: [], pass: failures.length === 0, rows: rows.map(rowToJson) }, null, 2)}\n`,
    );
  } else {
    const claims = rows.filter(({ cells }) => cells.has('claim'));
    io.out(
      tableText(
        rows.filter((row) => !claims.includes(row)),
        columns,
      ),
    );
    if (claims.length > 0) io.out(`\n${tableText(claims, ['claim'])}`);
    if (failures.length > 0) io.out(`\n${failures.map(failureText).join('')}`);
  }
  const checks = rows.reduce(
    (total, { cells }) => total + [...cells.values()].reduce((n, cell) => n + cell.checks, 0),
    0,
  );
  const outcome = failures.length === 0 ? 'all agree' : `${failures.length} failed`;
  io.err(`${checks} comparisons, ${outcome} (${seconds.toFixed(1)} s)\n`);
  return failures.length === 0 ? 0 : 1;
}
