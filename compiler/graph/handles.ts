/** How stages name what earlier ones wrote: scratch by its name, an output that is read back by its role too. */
import type { Axes } from './axes.ts';
import { input } from './build.ts';
import type { Expr } from './expr.ts';

type InputNode = Extract<Expr, { op: 'input' }>;

/** What a value is for, and what it is called. */
interface Named {
  readonly role: string;
  readonly of: string;
}

/** The value of an output as later stages read it. */
export const handleOf = ({ role, of, axes }: Named & { readonly axes: Axes }): Expr =>
  input('scratch', role === 'scratch' ? of : `${role} ${of}`, axes);

/** The output that a handle stands for; undefined for scratch, and for what is no handle. */
export function outputOf(node: Named): Named | undefined {
  if (node.role !== 'scratch') return undefined;
  const [role, of] = node.of.split(' ');
  return role === undefined || of === undefined ? undefined : { role, of };
}

/** Whether it is a value that no output holds. */
export const isBareScratch = (node: Named): boolean =>
  node.role === 'scratch' && outputOf(node) === undefined;

/** Whether it is what an earlier stage wrote. */
export const isHandle = (node: Expr): node is InputNode => node.op === 'input' && node.role === 'scratch';
