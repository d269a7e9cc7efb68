/** The process of one team: answers the requests of `apart.ts`. */
import type { Loaded, Reply, Request } from './apart.ts';
import { type Contender, type Prepared, reasonOf, type Team } from './contender.ts';
import { drawData } from './data.ts';
import { collectGarbage } from './garbage.ts';
import { teams } from './teams.ts';

const team: Promise<Team> = Promise.resolve(teams[process.argv[2]!]!());
const prepared = new Map<string, Prepared>();

async function answer(request: Request): Promise<unknown> {
  if (request.ask === 'load') return describe(await team);
  const { contender } = request;
  if (request.ask === 'cannot') return (await find(contender)).cannot(request.row);
  if (request.ask === 'prepare') {
    prepared.set(contender, await (await find(contender)).prepare(request.row, drawData(request.row)));
    return collectGarbage();
  }
  const current = prepared.get(contender)!;
  if (request.ask === 'time') return current.time(request.count);
  if (request.ask === 'results') return current.results();
  prepared.delete(contender);
  return current.dispose();
}

async function find(name: string): Promise<Contender> {
  return (await team).contenders.find((contender) => contender.name === name)!;
}

function describe({ contenders, absent, versions }: Team): Loaded {
  const traits = contenders.map(({ name, side, unit, threads }) => ({ name, side, unit, threads }));
  return { contenders: traits, absent, versions };
}

process.on('message', async (request: Request) => {
  const reply: Reply = await answer(request).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: reasonOf(error) }),
  );
  process.send!(reply);
});
// The benchmark may have been interrupted.
process.once('disconnect', () => process.exit());
