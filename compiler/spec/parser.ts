/**
 * mathjs's parser, with nodes that only hold what was parsed. Its own can also be evaluated, and to have them takes as
 * long as half a compilation.
 */
import math, { type MathNode } from 'mathjs/lib/browser/math.js';

/** What the constructor of each node is given. */
const fields: { readonly [type in MathNode['type']]: readonly string[] } = {
  ConstantNode: ['value'],
  SymbolNode: ['name'],
  ParenthesisNode: ['content'],
  OperatorNode: ['op', 'fn', 'args', 'implicit'],
  RelationalNode: ['conditionals', 'params'],
  ConditionalNode: ['condition', 'trueExpr', 'falseExpr'],
  FunctionNode: ['fn', 'args'],
  ObjectNode: ['properties'],
  RangeNode: ['start', 'end', 'step'],
  ArrayNode: ['items'],
  AccessorNode: ['object', 'index'],
  IndexNode: ['dimensions'],
  AssignmentNode: ['object', 'index', 'value'],
  FunctionAssignmentNode: ['name', 'params', 'expr'],
  BlockNode: ['blocks'],
};

/** The parser knows nodes by marks of their classes. */
function nodeClass(type: string, names: readonly string[]): new (...values: readonly unknown[]) => object {
  class Node {
    constructor(...values: readonly unknown[]) {
      Object.assign(this, { type }, Object.fromEntries(names.map((name, i) => [name, values[i]])));
    }
  }
  Object.assign(Node.prototype, { isNode: true, [`is${type}`]: true });
  return Node;
}

function createParser(): (text: string) => MathNode {
  const own = math.create();
  for (const [type, names] of Object.entries(fields)) own[type] = nodeClass(type, names);
  own.numeric = Number;
  return own.parse;
}

let parser: ReturnType<typeof createParser> | undefined;

/** Throws what mathjs does where the text is no expression. */
export function parseExpression(text: string): MathNode {
  parser ??= createParser();
  return parser(text);
}
