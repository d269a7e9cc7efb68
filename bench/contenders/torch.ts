/** PyTorch's CPU kernels in a Python beside this process, if one is found. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Case, channelsOf, groups, physicalShape } from '../cases.ts';
import type { Contender, Prepared, Team } from '../contender.ts';
import type { Data } from '../data.ts';

const script = fileURLToPath(new URL('./torch_kernels.py', import.meta.url));

/** `python3` of the path may be one without torch beside the system's, which has it. */
const interpreters = [process.env.PYTHON, 'python3', '/usr/bin/python3'].filter((name) => name !== undefined);

export async function loadTorch(threads: number): Promise<Team> {
  const python = interpreters.find((name) => spawnSync(name, ['-c', 'import torch']).status === 0);
  const reason = `no python3 with torch (tried ${interpreters.join(', ')}; PYTHON chooses another)`;
  if (!python) return { contenders: [], absent: [{ name: 'PyTorch', reason }], versions: [] };
  const client = new Client(spawn(python, [script]));
  const { version } = await client.ask({ command: 'version' });
  const contender = (name: string, kind: 'one' | 'all', count: number): Contender => ({
    name,
    side: 'peer',
    unit: 'cpu',
    threads: kind,
    cannot: ({ op }) => (op === 'rms_norm' ? 'not a kernel of its own in every version' : undefined),
    prepare: (row, data) => prepare(client, row, count, data),
  });
  return {
    contenders: [contender('PyTorch', 'one', 1), contender('PyTorch, all threads', 'all', threads)],
    absent: [],
    versions: [`PyTorch ${version}`],
    close: () => client.close(),
  };
}

interface Answer {
  readonly error?: string;
  readonly version?: string;
  readonly ms?: number;
  readonly results?: readonly (readonly [name: string, length: number])[];
}

/** One request at a time: a line of JSON and data out, a line of JSON and data back. */
class Client {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  /** The arrays that Python holds, by their key there. */
  readonly #sent = new Map<Float32Array, string>();

  constructor(process: ChildProcessWithoutNullStreams) {
    this.#process = process;
    this.#chunks = process.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    process.stderr.resume();
  }

  async ask(request: object, payload?: Float32Array): Promise<Answer> {
    const { stdin } = this.#process;
    stdin.write(`${JSON.stringify(request)}\n`);
    if (payload) stdin.write(new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength));
    let end = this.#rest.indexOf('\n');
    while (end < 0) {
      await this.#more();
      end = this.#rest.indexOf('\n');
    }
    const answer = JSON.parse(this.#rest.toString('utf8', 0, end)) as Answer;
    this.#rest = this.#rest.subarray(end + 1);
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done) throw new Error('Python ended');
    this.#rest = Buffer.concat([this.#rest, value]);
  }

  /** Data that follows an answer. */
  async floats(length: number): Promise<Float32Array> {
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < 4 * length) {
      const { value, done } = await this.#chunks.next();
      if (done) throw new Error('Python ended');
      parts.push(value);
      have += value.length;
    }
    const all = Buffer.concat(parts);
    this.#rest = all.subarray(4 * length);
    return new Float32Array(Uint8Array.from(all.subarray(0, 4 * length)).buffer);
  }

  /** The key of an array, which is sent once; what belongs to an earlier problem is forgotten. */
  async place(row: Case, name: keyof Data, array: Float32Array): Promise<string> {
    const isLarge = ['x', 'dy', 'v_x'].includes(name);
    const layout = isLarge && row.shape.length > 2 ? row.layout : 'first';
    const shape = isLarge ? physicalShape(row) : [channelsOf(row)];
    const known = this.#sent.get(array);
    if (known) return known;
    const key = `${this.#sent.size}`;
    await this.ask({ command: 'put', key, shape, layout }, array);
    this.#sent.set(array, key);
    return key;
  }

  async keep(arrays: readonly Float32Array[]): Promise<void> {
    if ([...this.#sent.keys()].every((array) => arrays.includes(array))) return;
    await this.ask({ command: 'forget' });
    this.#sent.clear();
  }

  close(): void {
    this.#process.kill();
  }
}

let last = 0;

async function prepare(client: Client, row: Case, threads: number, data: readonly Data[]): Promise<Prepared> {
  const id = `${++last}`;
  await client.keep(data.flatMap((set) => Object.values(set) as Float32Array[]));
  const sets: { [name: string]: string }[] = [];
  for (const set of data) {
    const keys: { [name: string]: string } = {};
    for (const [name, array] of Object.entries(set) as [keyof Data, Float32Array][])
      if (!name.startsWith('v_') || row.task === 'double backward')
        keys[name] = await client.place(row, name, array);
    sets.push(keys);
  }
  await client.ask({ command: 'prepare', id, case: { ...row, groups }, threads, sets });
  return {
    results: async () => {
      const { results = [] } = await client.ask({ command: 'results', id });
      const found = new Map<string, ArrayLike<number>>();
      for (const [name, length] of results) found.set(name, await client.floats(length));
      return found;
    },
    time: async (count) => (await client.ask({ command: 'time', id, count })).ms!,
    dispose: async () => void (await client.ask({ command: 'dispose', id })),
  };
}
