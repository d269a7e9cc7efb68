/**
 * The one-file build of mathjs, as far as formulas use it. Importing the package itself loads a thousand modules,
 * which takes several times as long; the nodes are typed here by what the parser makes.
 */
declare module 'mathjs/lib/browser/math.js' {
  namespace math {
    type MathNode =
      | { readonly type: 'ConstantNode'; readonly value: unknown }
      | { readonly type: 'SymbolNode'; readonly name: string }
      | { readonly type: 'ParenthesisNode'; readonly content: MathNode }
      | {
          readonly type: 'OperatorNode';
          readonly op: string;
          readonly implicit: boolean;
          readonly args: readonly [MathNode, MathNode] | readonly [MathNode];
        }
      | { readonly type: 'RelationalNode'; readonly params: readonly MathNode[] }
      | {
          readonly type: 'ConditionalNode';
          readonly condition: MathNode;
          readonly trueExpr: MathNode;
          readonly falseExpr: MathNode;
        }
      | { readonly type: 'FunctionNode'; readonly fn: MathNode; readonly args: readonly MathNode[] }
      | { readonly type: 'ObjectNode'; readonly properties: Readonly<Record<string, MathNode>> }
      | {
          readonly type:
            | 'RangeNode'
            | 'ArrayNode'
            | 'AccessorNode'
            | 'IndexNode'
            | 'AssignmentNode'
            | 'FunctionAssignmentNode'
            | 'BlockNode';
        };
    /** A mathjs of its own; what it consists of is made when it is asked for, and can be replaced before. */
    function create(): { parse(text: string): MathNode; [part: string]: unknown };
  }
  export = math;
}
