/** Loads of one value for all lanes: WebAssembly has an instruction for what would otherwise become an f64 and an f32 again. */
import { eachCode } from './collect.ts';
import type { Statement } from './kernel.ts';

type Let = Extract<Statement, { do: 'let' }>;

/** Where a value that is loaded is used as a vector alone, it is loaded as one. */
export function splatLoads(body: readonly Statement[]): Statement[] {
  const uses = new Map<string, number>();
  eachCode(body, (code) => {
    if (code.code === 'name') uses.set(code.name, (uses.get(code.name) ?? 0) + 1);
  });
  return within(body, (id) => uses.get(id) === 1);
}

function within(body: readonly Statement[], isUsedOnce: (id: string) => boolean): Statement[] {
  const loads = new Map<string, Let>();
  const vectors = new Map<Statement, Let>();
  const gone = new Set<Statement>();
  for (const s of body) {
    if (s.do !== 'let') continue;
    if (s.value.code === 'load' && s.value.type === 'real') loads.set(s.name, s);
    if (s.value.code !== 'splat' || s.value.x.code !== 'name') continue;
    const load = loads.get(s.value.x.name);
    if (!load || !isUsedOnce(load.name)) continue;
    vectors.set(load, { ...s, value: { ...s.value, x: load.value } });
    gone.add(s);
  }
  return body.flatMap((s): Statement[] => {
    if (gone.has(s)) return [];
    return [vectors.get(s) ?? ('body' in s ? { ...s, body: within(s.body, isUsedOnce) } : s)];
  });
}
