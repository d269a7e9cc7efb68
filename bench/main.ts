/** `npm run bench`: checks that all contenders agree, times them in turns, writes the results and a plot of them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';
import {
  allCases,
  type Case,
  elementsOf,
  scalingCases,
  smallCases,
  tinyCases,
  writeCase,
  writeProblem,
} from './cases.ts';
import type { Row } from './compare.ts';
import type { Contender } from './contender.ts';
import { type Field, loadField } from './contenders.ts';
import { drawData } from './data.ts';
import { describeMachine } from './machine.ts';
import { type Budget, budgets, Foresight, measure, type Outcome } from './measure.ts';
import { help, type Options, readOptions } from './options.ts';
import { installPeers } from './peers.ts';
import { drawPlot } from './plot.ts';
import { createReference } from './reference.ts';
import { writeReport, writeTime } from './report.ts';

const started = performance.now();

function progress(message: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.error(`${seconds.padStart(4)} s  ${message}`);
}

/** Measures cases in order. */
async function measureAll(
  cases: readonly Case[],
  contenders: readonly Contender[],
  budget: Budget,
  foresight: Foresight,
  isChecked: boolean,
): Promise<Row[]> {
  const rows: Row[] = [];
  let known = '';
  let expect: ReturnType<typeof createReference> | undefined;
  for (const [i, row] of cases.entries()) {
    const data = drawData(row);
    if (known !== writeProblem(row)) {
      known = writeProblem(row);
      expect = isChecked ? createReference(row, data[0]!) : undefined;
    }
    const setting = { row, data, expected: expect?.(row), budget, foresight };
    const outcomes = await measure(contenders, setting);
    rows.push({ row, outcomes });
    progress(`${i + 1}/${cases.length} ${writeCase(row)}: ${describe(outcomes)}`);
  }
  return rows;
}

function describe(outcomes: ReadonlyMap<string, Outcome>): string {
  const times = [...outcomes].flatMap(([name, outcome]) => {
    if ('timing' in outcome) return [`${name} ${writeTime(outcome.timing.median)}`];
    if ('wrong' in outcome) return [`${name} IS WRONG: ${outcome.wrong}`];
    return outcome.missing.startsWith('failed') ? [`${name} ${outcome.missing}`] : [];
  });
  return times.join(', ');
}

/** One quick look at everybody on small tensors: what is wrong there need not wait for the long part. */
async function checkAgreement(cases: readonly Case[], contenders: readonly Contender[]): Promise<number> {
  const budget: Budget = { rounds: 0, sample: 0, total: 0, call: Number.POSITIVE_INFINITY };
  const small = smallCases(cases);
  let wrong = 0;
  for (const row of small) {
    const data = drawData(row);
    const expected = createReference(row, data[0]!)(row);
    const outcomes = await measure(contenders, { row, data, expected, budget, foresight: new Foresight() });
    for (const [name, outcome] of outcomes) {
      const problem =
        'wrong' in outcome
          ? outcome.wrong
          : 'missing' in outcome && /^failed/.test(outcome.missing)
            ? outcome.missing
            : undefined;
      if (!problem) continue;
      wrong += 1;
      progress(`${writeCase(row)}: ${name}: ${problem}`);
    }
  }
  progress(
    `${small.length} kinds of rows agree${wrong > 0 ? `, but for ${wrong} exceptions` : ' on all contenders'}`,
  );
  return wrong;
}

/** Ours and, of the peers, those that can be as fast; the others would take minutes. */
const inScaling = ({ name, unit }: Contender): boolean => unit === 'cpu' && !/tfjs|jax/.test(name);

/** Elements. With 1e8 the contenders together hold some 12 GB. */
function largestScale({ quick }: Options): number {
  if (quick) return 1e7;
  const isEnough = freemem() > 14 * 2 ** 30;
  if (!isEnough) progress('there is no memory for 1e8 elements: time per element ends at 1e7');
  return isEnough ? 1e8 : 1e7;
}

/** Time per element; by processes of its own, since those that measured other rows keep what memory they took. */
async function measureScaling(options: Options, budget: Budget): Promise<Row[]> {
  const field = await loadField(options, false);
  const contenders = field.contenders.filter(inScaling);
  const foresight = new Foresight();
  const rows: Row[] = [];
  try {
    for (const row of scalingCases(largestScale(options))) {
      const isChecked = elementsOf(row) <= 1e6;
      rows.push(...(await measureAll([row], contenders, { ...budget, rounds: 3 }, foresight, isChecked)));
    }
  } finally {
    field.close();
  }
  return rows;
}

interface Measured {
  readonly field: Field;
  /** Contenders that were wrong on small tensors. */
  readonly wrong: number;
  readonly rows: readonly Row[];
  readonly tiny: readonly Row[];
}

async function measureRows(options: Options, budget: Budget): Promise<Measured> {
  const field = await loadField(options, true);
  try {
    const { contenders } = field;
    for (const { name, reason } of field.absent) progress(`${name} does not take part: ${reason}`);
    progress(`contenders: ${contenders.map(({ name }) => name).join('; ')}`);
    const cases = allCases().filter(options.includes);
    const foresight = new Foresight();
    const wrong = await checkAgreement(cases, contenders);
    const rows = await measureAll(cases, contenders, budget, foresight, true);
    const tiny = options.tiny ? await measureAll(tinyCases(), contenders, budget, foresight, true) : [];
    return { field, wrong, rows, tiny };
  } finally {
    field.close();
  }
}

async function run(options: Options): Promise<boolean> {
  const budget = budgets[options.quick ? 'quick' : 'full'];
  const { field, wrong, rows, tiny } = await measureRows(options, budget);
  const scaling = options.scaling ? await measureScaling(options, budget) : [];

  const { contenders, absent } = field;
  const machine = describeMachine(field.versions, field.adapter);
  const { quick } = options;
  const report = await writeReport({ contenders, absent, machine, quick, rows, scaling, tiny });
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'results.md'), report);
  if (rows.length > 0) await writeFile(join(options.out, 'results.svg'), drawPlot(rows, contenders));
  progress(`written to ${join(options.out, 'results.md')}`);
  const isWrong = (row: Row) => [...row.outcomes.values()].some((outcome) => 'wrong' in outcome);
  return wrong === 0 && ![...rows, ...tiny, ...scaling].some(isWrong);
}

const options = readOptions(process.argv.slice(2));
if (!options) console.log(help);
else {
  if (options.peers) installPeers();
  const isRight = await run(options);
  // Some libraries leave workers behind that would keep the process.
  process.exit(isRight ? 0 : 1);
}
