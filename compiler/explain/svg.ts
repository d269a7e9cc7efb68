/** A picture of a plan as inline SVG: laid out in layers, stages as groups. */
import { escapeMarkup } from './mathml.ts';
import type { Picture, PictureNode } from './picture.ts';

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: ReadonlyMap<string, Box>;
  readonly paths: readonly (readonly Point[])[];
}

const letter = 7.3;
const longestLabel = 30;
/** Between a label and both ends of its node; the ends of a pill are round. */
const roomAround = (kind: PictureNode['kind']): number => (kind === 'reduction' ? 40 : 22);

/** Its size is that of its layout; it shrinks with the page. */
export async function pictureSvg(picture: Picture): Promise<string> {
  const { width, height, boxes, paths } = await layOut(picture);
  const groups = picture.stages.map((title, i) => groupSvg(title, boxes.get(groupKey(i))!));
  const lines = paths.map((points) => `<path class="edge" d="${curve(points)}" marker-end="url(#arrow)"/>`);
  const nodes = picture.nodes.map((node) => nodeSvg(node, boxes.get(node.key)!));
  const size = `width="${Math.ceil(width)}" height="${Math.ceil(height)}"`;
  return `<svg class="graph" ${size} viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}" role="img" aria-label="${escapeMarkup(picture.title)}">
<title>${escapeMarkup(picture.title)}</title>
${[...groups, ...lines, ...nodes].join('\n')}
</svg>`;
}

/** The arrowhead, and what the colours mean; once a page. */
export const arrowSvg = `<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs></svg>`;

const groupKey = (stage: number): string => `stage ${stage}`;

const shortened = (text: string): string =>
  text.length > longestLabel ? `${text.slice(0, longestLabel - 1)}…` : text;

async function layOut({ nodes, edges, stages }: Picture): Promise<Layout> {
  const { Graph, layout } = await import('@dagrejs/dagre');
  const graph = new Graph({ compound: true });
  graph.setGraph({ rankdir: 'LR', nodesep: 14, ranksep: 42, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const i of stages.keys()) graph.setNode(groupKey(i), {});
  for (const { key, kind, label, detail, stage } of nodes) {
    const text = Math.max(60, shortened(label).length * letter, detail.length * letter * 0.85);
    const width = text + roomAround(kind);
    graph.setNode(key, { width, height: 44 });
    if (stage !== undefined) graph.setParent(key, groupKey(stage));
  }
  for (const [from, to] of edges) graph.setEdge(from, to);
  layout(graph);
  const boxes = new Map<string, Box>();
  for (const key of graph.nodes()) {
    const { x, y, width, height } = graph.node(key) as Box;
    boxes.set(key, { x: x - width / 2, y: y - height / 2, width, height });
  }
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const middle = ({ y, height }: Box): number => y + height / 2;
  const paths = edges.map(([from, to]): Point[] => {
    const [source, target] = [boxes.get(from)!, boxes.get(to)!];
    const { points } = graph.edge(from, to) as { points: Point[] };
    return [
      { x: source.x + source.width, y: middle(source) },
      ...points.slice(1, -1),
      { x: target.x, y: middle(target) },
    ];
  });
  return { width, height, boxes, paths };
}

/** A smooth line through the points of an edge, level where it starts and ends. */
function curve(points: readonly Point[]): string {
  const number = (value: number): string => String(Math.round(value * 10) / 10);
  const parts = points.map(({ x, y }, i) => {
    if (i === 0) return `M${number(x)} ${number(y)}`;
    const last = points[i - 1]!;
    const middle = number((last.x + x) / 2);
    return `C${middle} ${number(last.y)} ${middle} ${number(y)} ${number(x)} ${number(y)}`;
  });
  return parts.join('');
}

const position = ({ x, y, width, height }: Box): string =>
  `x="${Math.round(x)}" y="${Math.round(y)}" width="${Math.round(width)}" height="${Math.round(height)}"`;

const groupSvg = (title: string, box: Box): string =>
  `<g class="group"><rect ${position(box)} rx="10"/><text x="${Math.round(box.x) + 10}" y="${Math.round(box.y) + 17}">${escapeMarkup(title)}</text></g>`;

function nodeSvg({ kind, label, detail }: PictureNode, box: Box): string {
  const x = Math.round(box.x + box.width / 2);
  const y = Math.round(box.y);
  const round = kind === 'reduction' ? 22 : 6;
  return `<g class="node ${kind}"><title>${escapeMarkup(`${label}, ${detail}`)}</title><rect ${position(box)} rx="${round}"/><text x="${x}" y="${y + 19}">${escapeMarkup(shortened(label))}</text><text class="detail" x="${x}" y="${y + 35}">${escapeMarkup(detail)}</text></g>`;
}
