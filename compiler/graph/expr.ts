/** The tensor graph: hash-consed expressions over named axes. Equal values are the same object. */
import Fraction from 'fraction.js';
import type { Comparison, UnaryFunction } from '../spec/spec.ts';
import type { Axes } from './axes.ts';
import { createWeakTable } from './weak-table.ts';

/** What an input of a graph is to the caller; the names of a call's tensors follow from it. */
export type InputRole = 'input' | 'saved' | 'cotangent' | 'tangent' | 'cotangent2' | 'scratch';

/** Elementwise functions that are nodes. Roots are powers, so `sqrt` and `rsqrt` are not here. */
export type Call = Exclude<UnaryFunction, 'sqrt' | 'rsqrt'> | 'min' | 'max' | 'pow' | 'clamp';

export type Reduction = 'sum' | 'mean' | 'var' | 'amax' | 'amin' | 'prod';

/** Coefficient × expression. */
export type Term = readonly [Fraction, Expr];
/** Expression ^ rational power. */
export type Factor = readonly [Expr, Fraction];

/** The part of a node that says what it computes. */
export type Body =
  | { readonly op: 'number'; readonly value: Fraction }
  | { readonly op: 'constant'; readonly name: 'pi' | 'e' }
  | { readonly op: 'truth'; readonly value: boolean }
  /** A tensor that is handed in. `of` is the caller's name for it. */
  | { readonly op: 'input'; readonly role: InputRole; readonly of: string; readonly axes: Axes }
  /** A numeric attribute, known when the op is called. */
  | { readonly op: 'parameter'; readonly name: string }
  /** The number of elements along an axis. */
  | { readonly op: 'size'; readonly axis: string }
  /**
   * Σ coefficient × term + constant. An `atom` is an addition the author of the spec wrote: it stays whole, because
   * a centred difference x − μ that is taken apart cancels catastrophically. Additions from differentiation are free.
   */
  | {
      readonly op: 'add';
      readonly atom: boolean;
      readonly terms: readonly Term[];
      readonly constant: Fraction;
    }
  /** coefficient × Π factor ^ power. */
  | { readonly op: 'mul'; readonly coefficient: Fraction; readonly factors: readonly Factor[] }
  | { readonly op: 'call'; readonly fn: Call; readonly args: readonly Expr[] }
  | { readonly op: 'compare'; readonly fn: Comparison; readonly a: Expr; readonly b: Expr }
  | { readonly op: 'and'; readonly a: Expr; readonly b: Expr }
  | { readonly op: 'or'; readonly a: Expr; readonly b: Expr }
  | { readonly op: 'not'; readonly x: Expr }
  | { readonly op: 'select'; readonly test: Expr; readonly then: Expr; readonly else: Expr }
  | ReductionBody
  /**
   * The product of the other factors among some axes, for each element j of x: Πᵢ xᵢ, i ≠ j. Along a, b, … it is
   * differentiated: Σₖ Σₗ … aₖ bₗ … Πᵢ xᵢ, of which j, k, l, … and i are all different.
   */
  | { readonly op: 'others'; readonly x: Expr; readonly along: readonly Expr[]; readonly among: Axes }
  | { readonly op: 'stop'; readonly x: Expr };

type ReductionBody = {
  readonly [K in Reduction]: { readonly op: K; readonly x: Expr; readonly over: Axes };
}[Reduction];

export type Op = Body['op'];

export type Expr = Body & {
  readonly id: number;
  readonly axes: Axes;
  readonly type: 'real' | 'bool';
  /** How many reductions are nested inside, at most: a node is known only after that many passes over data. */
  readonly depth: number;
  /** Depends on the structure alone, so that orders that rest on it are the same in every run. */
  readonly hash: number;
};

export type Node<K extends Op> = Extract<Expr, { op: K }>;

const interned = createWeakTable<Expr>();
let nextId = 0;

/** The one node with this body; `axes` and `type` must follow from it. */
export function intern(body: Body, axes: Axes, type: 'real' | 'bool' = 'real'): Expr {
  const key = keyOf(body, (child) => String(child.id));
  const known = interned.get(key);
  if (known) return known;
  const inner = Math.max(0, ...children(body).map((child) => child.depth));
  const depth = isReduction(body) || body.op === 'others' ? inner + 1 : inner;
  const hash = hashText(keyOf(body, (child) => child.hash.toString(36)));
  const node = { ...body, id: nextId++, axes, type, depth, hash } as Expr;
  interned.set(key, node);
  return node;
}

export const isReduction = <B extends Body>(body: B): body is Extract<B, ReductionBody> => 'over' in body;

const text = (value: Fraction): string => value.toFraction();

/** Whether a fraction is 1, as most are. */
export const isOne = ({ s, n, d }: Fraction): boolean => n === 1n && d === 1n && s === 1n;

function keyOf(body: Body, of: (child: Expr) => string): string {
  switch (body.op) {
    case 'number':
      return `#${text(body.value)}`;
    case 'constant':
      return `k ${body.name}`;
    case 'truth':
      return `t ${body.value}`;
    case 'input':
      return `in ${body.role} ${body.of} [${body.axes}]`;
    case 'parameter':
      return `p ${body.name}`;
    case 'size':
      return `n ${body.axis}`;
    case 'add':
      return `${body.atom ? 'atom' : 'add'} ${text(body.constant)} ${body.terms.map(([c, e]) => `${text(c)}*${of(e)}`).join(' ')}`;
    case 'mul':
      return `mul ${text(body.coefficient)} ${body.factors.map(([e, p]) => `${of(e)}^${text(p)}`).join(' ')}`;
    case 'call':
      return `${body.fn}(${body.args.map(of).join(' ')})`;
    case 'compare':
      return `${of(body.a)} ${body.fn} ${of(body.b)}`;
    case 'and':
    case 'or':
      return `${body.op} ${of(body.a)} ${of(body.b)}`;
    case 'not':
    case 'stop':
      return `${body.op} ${of(body.x)}`;
    case 'select':
      return `select ${of(body.test)} ${of(body.then)} ${of(body.else)}`;
    case 'others':
      return `others[${body.among}] ${of(body.x)} ${body.along.map(of).join(' ')}`;
    default:
      return `${body.op}[${body.over}] ${of(body.x)}`;
  }
}

/** FNV-1a, 32 bits. */
function hashText(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The expressions a node is made of, in a fixed order. */
export function children(body: Body): readonly Expr[] {
  switch (body.op) {
    case 'add':
      return body.terms.map(([, term]) => term);
    case 'mul':
      return body.factors.map(([factor]) => factor);
    case 'call':
      return body.args;
    case 'compare':
    case 'and':
    case 'or':
      return [body.a, body.b];
    case 'select':
      return [body.test, body.then, body.else];
    case 'others':
      return [body.x, ...body.along];
    case 'number':
    case 'constant':
    case 'truth':
    case 'input':
    case 'parameter':
    case 'size':
      return [];
    default:
      return [body.x];
  }
}

/** Every node that the roots are made of, operands before their users, without recursion. */
export function topological(roots: readonly Expr[]): Expr[] {
  const order: Expr[] = [];
  const seen = new Set<Expr>();
  const stack: { node: Expr; next: number }[] = [];
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push({ node: root, next: 0 });
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const child = children(top.node)[top.next++];
      if (child === undefined) {
        order.push(top.node);
        stack.pop();
      } else if (!seen.has(child)) {
        seen.add(child);
        stack.push({ node: child, next: 0 });
      }
    }
  }
  return order;
}

/** Small before large, known early before known late, then by structure: an order that reads well and never varies. */
export function compareExprs(a: Expr, b: Expr): number {
  return (
    placeOf(a) - placeOf(b) ||
    a.axes.length - b.axes.length ||
    a.depth - b.depth ||
    compareText(nameOf(a), nameOf(b)) ||
    a.hash - b.hash ||
    a.id - b.id
  );
}

const placeOf = (e: Expr): number => (e.op === 'number' || e.op === 'constant' ? 0 : e.op === 'size' ? 1 : 2);
const nameOf = (e: Expr): string =>
  e.op === 'input' ? `${e.role} ${e.of}` : e.op === 'parameter' ? e.name : e.op;
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export { Fraction };
