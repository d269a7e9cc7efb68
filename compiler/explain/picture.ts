/** The graph of a plan: inputs, reductions and results, in the stages that compute them. */
import { children, type Expr, isReduction } from '../graph/expr.ts';
import { handleOf } from '../graph/handles.ts';
import { inputName } from '../graph/print.ts';
import { outputsOf } from '../kernel/tensors.ts';
import type { ProgramOutput } from '../schedule/program.ts';
import type { Stage } from '../schedule/stages.ts';
import type { InOrder } from './from-expr.ts';
import { inputNodes, type Plan } from './plan.ts';

export interface PictureNode {
  readonly key: string;
  readonly kind: 'input' | 'cotangent' | 'saved' | 'reduction' | 'value' | 'result';
  readonly label: string;
  /** What it stands for, in a few words. */
  readonly detail: string;
  /** The stage that computes it; inputs have none. */
  readonly stage?: number;
}

export interface Picture {
  readonly title: string;
  readonly nodes: readonly PictureNode[];
  readonly edges: readonly (readonly [from: string, to: string])[];
  readonly stages: readonly string[];
}

/** `text` writes an expression, `label` says what an output is called. */
export function pictureOf(
  plan: Plan,
  title: string,
  inOrder: InOrder,
  text: (e: Expr) => string,
  label: (output: ProgramOutput) => string,
): Picture {
  const nodes: PictureNode[] = [];
  const edges: [string, string][] = [];
  const producers = new Map<Expr, string>();
  const sourceOf = (node: Extract<Expr, { op: 'input' }>): string => {
    const known = producers.get(node);
    if (known) return known;
    const key = `in ${node.role} ${node.of}`;
    producers.set(node, key);
    const kind = node.role === 'saved' ? 'saved' : node.role === 'input' ? 'input' : 'cotangent';
    nodes.push({ key, kind, label: inputName(node), detail: `[${inOrder(node.axes).join(', ')}]` });
    return key;
  };
  const connect = (expr: Expr, to: string, reductions: ReadonlyMap<string, string>): void => {
    for (const leaf of leavesOf(expr, reductions)) {
      if (leaf.op === 'input') edges.push([sourceOf(leaf), to]);
      else if (isReduction(leaf)) edges.push([reductions.get(reductionKey(leaf.x, leaf.over))!, to]);
    }
  };
  for (const [i, stage] of plan.stages.entries()) {
    const reductions = new Map<string, string>();
    for (const { over, accumulations } of stage.kind === 'map' ? [] : stage.groups) {
      for (const { monoid, x } of accumulations) {
        const key = `reduction ${i} ${monoid} ${x.id} ${over}`;
        const name = monoid === 'moments' ? 'mean, var' : monoid === 'sum' ? 'Σ' : monoid;
        const detail = `over ${inOrder(over).join(', ')}`;
        nodes.push({ key, kind: 'reduction', label: `${name} ${text(x)}`, detail, stage: i });
        reductions.set(reductionKey(x, over), key);
        for (const node of inputNodes([x])) edges.push([sourceOf(node), key]);
      }
    }
    for (const output of outputsOf(stage)) {
      const key = `output ${i} ${output.role} ${output.of}`;
      const kind = output.role === 'scratch' ? 'value' : 'result';
      const detail = `[${inOrder(output.axes).join(', ')}]`;
      nodes.push({ key, kind, label: label(output), detail, stage: i });
      connect(output.expr, key, reductions);
      producers.set(handleOf(output), key);
    }
  }
  const unique = new Map(edges.map((edge) => [edge.join(' → '), edge]));
  return { title, nodes, edges: [...unique.values()], stages: plan.stages.map(stageTitle) };
}

const reductionKey = (x: Expr, over: readonly string[]): string => `${x.id} over ${over.join(' ')}`;

/** The inputs an expression reads, and the reductions of its own stage, whose operands are theirs to read. */
function leavesOf(expr: Expr, reductions: ReadonlyMap<string, string>): Set<Expr> {
  const leaves = new Set<Expr>();
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    const isOwn = isReduction(e) && reductions.has(reductionKey(e.x, e.over));
    if (isOwn || e.op === 'input') leaves.add(e);
    else children(e).forEach(visit);
  };
  visit(expr);
  return leaves;
}

const stageTitle = (stage: Stage, i: number): string =>
  stage.kind === 'map' ? `stage ${i + 1}: map` : `stage ${i + 1}: reduce`;
