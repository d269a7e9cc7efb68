/** The memory that tensors of f32 live in: used again, grown, and refused with advice. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cpu } from '../../runtime/index.ts';
import { openMemory } from '../../runtime/memory.ts';

const open = () => openMemory()!;

/** Runs a module in a process of its own, and returns what it prints. */
async function inProcess(source: string, ...options: string[]): Promise<string> {
  const args = ['--import', 'tsx', ...options, '--input-type=module', '--eval', source];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: new URL('../..', import.meta.url),
    timeout: 60_000,
  });
  return stdout.trim();
}

test('a block that was freed is used again for the same size', () => {
  const memory = open();
  const first = memory.allocate(1000);
  const second = memory.allocate(1000);
  assert.ok(second.byteOffset >= first.byteOffset + first.byteLength, 'they do not overlap');
  memory.free(first);
  assert.is(memory.allocate(990).byteOffset, first.byteOffset);
});

test('a tensor that is disposed twice frees its memory once', () => {
  const device = cpu({ target: 'wasm' });
  const tensor = device.tensor([100]);
  tensor.dispose();
  tensor.dispose();
  const [a, b] = [device.tensor([100]), device.tensor([100])].map(({ storage }) => storage as Float32Array);
  assert.is.not(a!.byteOffset, b!.byteOffset);
});

test('views from before the memory grew stay valid', () => {
  const memory = open();
  const block = memory.allocate(16);
  const address = block.byteOffset;
  const before = memory.view(block, 4);
  before.set([1, 2, 3, 4]);
  memory.allocate(40 * 2 ** 20);
  assert.is.not(before.buffer, memory.memory.buffer);
  assert.is(memory.addressOf(before), address);
  assert.equal([...before], [1, 2, 3, 4]);
  const same = new Float32Array(memory.memory.buffer, address, 4);
  before[0] = 9;
  assert.is(same[0], 9);
});

test('an array elsewhere has no address', () => {
  const memory = open();
  assert.is(memory.addressOf(new Float32Array(4)), undefined);
  const other = open();
  assert.is(memory.addressOf(other.view(other.allocate(16), 4)), undefined);
});

test('more than there is is an error with advice', () => {
  const memory = open();
  try {
    memory.allocate(2 ** 32);
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, 'out-of-memory');
    assert.match((error as Error).message, 'dispose tensors');
  }
  assert.ok(memory.allocate(64).byteOffset > 0, 'it works as before');
});

test('data is copied in once, and not at all where it is in the memory', () => {
  const device = cpu({ target: 'wasm' });
  const tensor = device.tensor([2, 3], new Float32Array(6));
  assert.is(device.copied, 24);
  const view = device.tensor([3, 2], tensor.storage as Float32Array);
  assert.is(view.storage, tensor.storage);
  device.tensor([1000]);
  device.tensor([2], Float64Array.of(1, 2));
  assert.is(device.copied, 24);
});

test('tensors that nobody holds are freed', async () => {
  const source = `
    import { cpu } from './runtime/index.ts';
    const device = cpu({ target: 'wasm', threads: 1 });
    const most = new Set();
    for (let i = 0; i < 200; i++) {
      most.add(device.tensor([2 ** 20]).storage.byteOffset);
      if (i % 10 === 9) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    console.log(most.size);`;
  const places = Number(await inProcess(source, '--expose-gc'));
  assert.ok(places > 0 && places < 60, `200 tensors took ${places} places`);
});

test('a call that is remembered does not keep its tensors', async () => {
  const source = `
    import { cpu } from './runtime/index.ts';
    import { rms_norm } from './generated/rms_norm/index.ts';
    const device = cpu({ target: 'wasm', threads: 1 });
    const once = () => {
      const x = device.tensor([2 ** 10, 4]);
      const run = device.runSync(rms_norm, { x });
      run.backward({ y: run.outputs.y });
      return new WeakRef(x);
    };
    const first = once();
    await new Promise((resolve) => setTimeout(resolve, 1));
    gc();
    console.log(first.deref() === undefined);`;
  assert.is(await inProcess(source, '--expose-gc'), 'true');
});

test('without shared memory f32 runs in TypeScript', async () => {
  const source = `
    WebAssembly.Memory = class { constructor() { throw new TypeError('no shared memory'); } };
    const { cpu } = await import('./runtime/index.ts');
    const device = cpu();
    const data = Float32Array.of(1, 2);
    let refused = '';
    try { cpu({ target: 'wasm' }); } catch (error) { refused = error.code; }
    console.log(device.target, device.tensor([2], data).storage === data, refused);`;
  assert.is(await inProcess(source), 'typescript true not-generated');
});

test.run();
