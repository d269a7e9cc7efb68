/** Source files printed by ts-morph from their structure; it is loaded only when TypeScript is emitted. */
import type { Project, StatementStructures, StructureKind } from 'ts-morph';
import { invariant } from '../diagnostics.ts';
import type { Print } from './tools.ts';

type Kinds = typeof StructureKind;
type Kind = 'Function' | 'ImportDeclaration' | 'Interface' | 'TypeAlias';

/** A statement as ts-morph takes it, but for the name of its kind: so a file can be described without ts-morph. */
export type Structure<K extends Kind = Kind> = {
  [k in K]: Omit<Extract<StatementStructures, { kind: Kinds[k] }>, 'kind'> & { readonly kind: k };
}[K];

export type Morph = typeof import('ts-morph');

/** Prints statements. */
export function createPrint(load: () => Promise<Morph>): Print {
  let project: Project | undefined;
  let created = 0;
  return async (statements) => {
    const morph = await load();
    project ??= createProject(morph);
    const structures = statements.map((s) =>
      typeof s === 'string' ? s : ({ ...s, kind: morph.StructureKind[s.kind] } as StatementStructures),
    );
    const file = project.createSourceFile(`file_${created++}.ts`, { statements: structures });
    const text = file.getFullText();
    file.forget();
    return text;
  };
}

function createProject({ IndentationText, Project, QuoteKind }: Morph): Project {
  const manipulationSettings = {
    indentationText: IndentationText.TwoSpaces,
    quoteKind: QuoteKind.Single,
    useTrailingCommas: true,
  };
  return new Project({ useInMemoryFileSystem: true, manipulationSettings });
}

/** Stands for a text that is put in afterwards: ts-morph parses all that it prints, which for long texts takes long. */
export type Inset = (text: string) => string;

/** The text of a file with these statements under a headline. */
export async function printFile(
  headline: string,
  statements: (inset: Inset) => readonly (string | Structure)[],
  printed: Print,
): Promise<string> {
  const insets: string[] = [];
  const text = await printed(statements((whole) => `/*inset ${insets.push(whole) - 1}*/`));
  const missing = new Set(insets.keys());
  const filled = text.replace(/^( *)\/\*inset (\d+)\*\/$/gm, (_, indent: string, i: string) => {
    missing.delete(Number(i));
    return indented(insets[Number(i)]!, indent);
  });
  invariant(missing.size === 0, `insets ${[...missing].join(', ')} were lost`);
  return `// ${headline}\n\n${filled}`;
}

export const indented = (text: string, indent = '  '): string =>
  indent === '' ? text : text.replace(/^(?=.)/gm, indent);
