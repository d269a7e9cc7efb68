/** Threads change how long a call takes, and nothing else: not one bit of a result, and not how a process ends. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { mostSlots, ownElements } from '../../compiler/kernel/kernel.ts';
import { type CpuDevice, cpu } from '../../runtime/index.ts';
import { openMemory } from '../../runtime/memory.ts';
import { openThreads } from '../../runtime/threads.ts';
import { makeRunner, numbersBytes, ownBytes } from '../../runtime/wasm.ts';
import { farthest } from '../compiler/near.ts';
import { normals, randomOf } from '../compiler/random.ts';
import { compileSpec } from '../compiler/targets.ts';

const text = readFileSync(new URL('../../derivatives.yaml', import.meta.url), 'utf8');
const compiled = await compileSpec(text, { only: 'batch_norm', targets: ['wasm', 'typescript'] });
const op = compiled.ops.get('batch_norm')!;
const test = suite('threads');

test('threads and calls have as much memory to themselves as kernels are compiled for', () => {
  assert.is(ownBytes, 4 * ownElements);
  assert.is(numbersBytes, 8 * mostSlots);
});

/** Few channels are cut into blocks, many are shared whole. */
const shapes = [
  [4, 3, 9001],
  [3, 37, 1111],
  [2, 2, 5],
];
/** Larger than caches: rows are walked as they lie in memory, one by one or several at once. */
const large = [
  [37, 41, 700],
  [241, 19, 231],
];

const drawn = new Map<string, number[]>();
/** Random numbers, drawn once for each use. */
function draw(of: string, length: number): number[] {
  const key = `${of} ${length}`;
  const data = drawn.get(key) ?? normals(randomOf(of), length);
  drawn.set(key, data);
  return data;
}

/** All results of a forward and a backward. */
async function resultsOf(device: CpuDevice, shape: readonly number[], layout: string): Promise<number[][]> {
  const length = shape.reduce((a, b) => a * b);
  const per = (of: string) => ({ shape: [shape[1]!], data: draw(of, shape[1]!) });
  const inputs = new Map([
    ['x', { shape, data: draw('x', length) }],
    ['weight', per('weight')],
    ['bias', per('bias')],
  ]);
  const call = { inputs, attributes: { training: true } };
  const session = await startSession({ device, dtype: 'f32' }, op, call, layout);
  const outputs = await session.outputs();
  const gradients = await session.gradients(new Map([['y', draw('ct', length)]]));
  session.dispose();
  return [...outputs.values(), ...gradients.values()].map((data) => [...data]);
}

for (const layout of ['n c s', 'n s c']) {
  for (const shape of layout === 'n c s' ? [...shapes, large[0]!] : shapes) {
    test(`the same bits on 1, 2 and 4 threads, ${shape} [${layout}]`, async () => {
      const one = await resultsOf(cpu({ target: 'wasm', threads: 1 }), shape, layout);
      for (const threads of [2, 4]) {
        const device = cpu({ target: 'wasm', threads });
        // at first threads are still starting, later they are there
        for (let turn = 0; turn < 3; turn++) {
          assert.equal(await resultsOf(device, shape, layout), one, `${threads} threads, turn ${turn}`);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    });
  }
}

test('only data larger than caches is cut into strips, for all routines of a phase in one call', () => {
  const memory = openMemory()!;
  const routine = { index: 0, run: () => {} };
  const load = () => ({ together: routine, apart: { ...routine } });
  const runner = makeRunner({ memory, threads: openThreads(memory.memory), load }, 1);
  const launch = (kept: number, elements: number) => {
    const routines = [{ name: 'apart', over: 'parts' as const }];
    const numbersOf = { kept: () => kept, units: () => 99, strips: () => 7, elements: () => elements };
    const phase = { ...numbersOf, blocks: '$blocks', routines, together: 'together' };
    const kernel = { name: 'k', module: '', bindings: [], uniforms: [], slots: [], phases: [phase] };
    const { numbers, calls } = runner.launch(kernel, {});
    return [numbers.$blocks, calls[0]!.routine === routine, calls[0]!.items];
  };
  assert.equal(launch(64, 2 ** 22), [7, true, 64]);
  assert.equal(launch(64, 2 ** 19), [1, true, 64]);
  assert.equal(launch(4, 2 ** 22), [4, false, 16]);
});

test('data larger than caches gives the same results as elsewhere', async () => {
  for (const shape of large) {
    const [actual, expected] = await Promise.all(
      (['wasm', 'typescript'] as const).map((target) =>
        resultsOf(cpu({ target, threads: 1 }), shape, 'n c s'),
      ),
    );
    for (const [i, values] of actual!.entries()) {
      assert.is(farthest(values, expected![i]!, 1e-5, 1), undefined, `${shape}, result ${i}`);
    }
  }
});

test('two devices of a process take turns', async () => {
  const [a, b] = [cpu({ target: 'wasm', threads: 2 }), cpu({ target: 'wasm', threads: 3 })];
  const expected = await resultsOf(a, shapes[0]!, 'n c s');
  const found = await Promise.all([a, b, a, b].map((device) => resultsOf(device, shapes[0]!, 'n c s')));
  for (const results of found) assert.equal(results, expected);
});

test('threads must be a whole number', () => {
  for (const threads of [0, -1, 1.5, Number.NaN])
    assert.throws(() => cpu({ threads }), /threads must be a whole number/);
});

/** A routine that counts its items in memory, whichever thread does them. */
const counting = `
  import { openThreads } from './runtime/threads.ts';
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  // (import "env" "memory" (memory 1 1 shared))
  // (func (export "f") (param i32 i32 i32)
  //   (drop (i32.atomic.rmw.add (i32.const 1024) (i32.sub (local.get 2) (local.get 1)))))
  const bytes = Uint8Array.of(0,97,115,109,1,0,0,0, 1,7,1,96,3,127,127,127,0,
    2,16,1,3,101,110,118,6,109,101,109,111,114,121,2,3,1,1, 3,2,1,0, 7,5,1,1,102,0,0,
    10,17,1,15,0,65,128,8,32,2,32,1,107,254,30,2,0,26,11);
  const threads = openThreads(memory);
  const { f: routine } = threads.share(new WebAssembly.Module(bytes));
  const items = () => new Int32Array(memory.buffer)[256];`;

async function inProcess(source: string): Promise<string> {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', source];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: new URL('../..', import.meta.url),
    timeout: 60_000,
  });
  return stdout.trim();
}

test('a job ends though its threads have not begun', async () => {
  assert.is(await inProcess(`${counting}\nthreads.run(routine, 0, 64, 16, 4);\nconsole.log(items());`), '64');
});

test('a process ends by itself with idle threads', async () => {
  const source = `${counting}
    threads.run(routine, 0, 64, 16, 3);
    await new Promise((resolve) => setTimeout(resolve, 300));
    threads.run(routine, 0, 64, 16, 3);
    console.log('done');`;
  assert.is(await inProcess(source), 'done');
});

test('where no thread can start, the caller does all the work', async () => {
  const source = `
    import workers from 'node:worker_threads';
    workers.Worker = class { constructor() { throw new Error('no threads'); } };
    ${counting}
    threads.run(routine, 0, 64, 16, 3);
    await new Promise((resolve) => setTimeout(resolve, 50));
    threads.run(routine, 0, 64, 16, 3);
    console.log(items());`;
  assert.is(await inProcess(source), '128');
});

/** Has every worker told things only after a while, a longer one for each message; `Infinity` for never. */
const lateBy = (milliseconds: number) => `
  import workers from 'node:worker_threads';
  import { batch_norm } from './generated/batch_norm/index.ts';
  import { cpu } from './runtime/index.ts';
  let wait = 0;
  workers.Worker = class extends workers.Worker {
    postMessage(message) {
      wait += ${milliseconds};
      if (wait < Infinity) setTimeout(() => super.postMessage(message), wait).unref();
    }
  };
  const device = cpu({ target: 'wasm', threads: 4 });
  const x = device.tensor([4, 3, 9001], Float32Array.from({ length: 108012 }, (_, i) => Math.sin(i)));
  const bits = () => {
    const run = device.runSync(batch_norm, { x }, { training: true });
    const { x: dx } = run.backward({ y: x }, ['x']);
    return [run.outputs.y, run.outputs.mean, dx].map(({ storage }) => Buffer.from(storage.slice().buffer));
  };
  const first = bits();
  let turns = 0;
  for (const end = performance.now() + 500; performance.now() < end; turns++) {
    for (const [i, found] of bits().entries()) if (!found.equals(first[i])) throw new Error('turn ' + turns);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  console.log('same', turns > 5);`;

for (const [when, milliseconds] of [
  ['late', 10],
  ['never', Number.POSITIVE_INFINITY],
] as const) {
  test(`threads that join ${when} change no result`, async () => {
    assert.is(await inProcess(lateBy(milliseconds)), 'same true');
  });
}

test.run();
