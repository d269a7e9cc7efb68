/** Gives contenders on the CPU a process each, as users give it to them: what one leaves behind slows no other. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Case } from './cases.ts';
import type { Contender, Prepared, Team } from './contender.ts';
import type { Results } from './reference.ts';

/** What a process is asked; it holds one prepared case at most of each contender. */
export type Request =
  | { readonly ask: 'load' }
  | { readonly ask: 'cannot' | 'prepare'; readonly contender: string; readonly row: Case }
  | { readonly ask: 'results' | 'dispose'; readonly contender: string }
  | { readonly ask: 'time'; readonly contender: string; readonly count: number };

export type Traits = Pick<Contender, 'name' | 'side' | 'unit' | 'threads'>;

/** The answer to `load`: a team, as far as it can be sent. */
export interface Loaded extends Pick<Team, 'absent' | 'versions'> {
  readonly contenders: readonly Traits[];
}

export type Reply = { readonly value: unknown } | { readonly error: string };

const script = fileURLToPath(new URL('./apart-process.ts', import.meta.url));

/** A team whose contenders run in a process of their own; the name is one of those in `teams.ts`. */
export async function loadApart(name: string): Promise<Team> {
  // Structured clones, so that results keep their types.
  const client = new Client(fork(script, [name], { serialization: 'advanced' }), name);
  const { contenders, ...rest } = (await client.ask({ ask: 'load' })) as Loaded;
  return {
    ...rest,
    contenders: contenders.map((traits) => standIn(client, traits)),
    close: () => client.close(),
  };
}

function standIn(client: Client, traits: Traits): Contender {
  const contender = traits.name;
  const prepared: Prepared = {
    results: async () => (await client.ask({ ask: 'results', contender })) as Results,
    time: async (count) => (await client.ask({ ask: 'time', contender, count })) as number,
    dispose: async () => void (await client.ask({ ask: 'dispose', contender })),
  };
  return {
    ...traits,
    cannot: async (row) => (await client.ask({ ask: 'cannot', contender, row })) as string | undefined,
    // The process draws the same data by itself.
    prepare: async (row) => {
      await client.ask({ ask: 'prepare', contender, row });
      return prepared;
    },
  };
}

/** One request at a time. */
class Client {
  readonly #process: ChildProcess;
  readonly #ended: Promise<never>;

  constructor(process: ChildProcess, name: string) {
    this.#process = process;
    this.#ended = new Promise((_, reject) => {
      process.once('exit', () => reject(new Error(`the process of ${name} ended`)));
    });
    // Whoever waits for an answer hears of it; nobody else needs to.
    this.#ended.catch(() => {});
  }

  async ask(request: Request): Promise<unknown> {
    const reply = new Promise<Reply>((resolve) => this.#process.once('message', resolve));
    this.#process.send(request);
    const answer = await Promise.race([reply, this.#ended]);
    if ('error' in answer) throw new Error(answer.error);
    return answer.value;
  }

  close(): void {
    this.#process.kill();
  }
}
