/** Source files printed by ts-morph from their structure; it is loaded only when TypeScript is emitted. */
import type { Project, StatementStructures, StructureKind } from 'ts-morph';

export type Kinds = typeof StructureKind;
export type Statements = readonly (string | StatementStructures)[];

let loaded: Promise<{ project: Project; kinds: Kinds }> | undefined;
let created = 0;

async function load(): Promise<{ project: Project; kinds: Kinds }> {
  const { IndentationText, Project: Morph, QuoteKind, StructureKind: kinds } = await import('ts-morph');
  const manipulationSettings = {
    indentationText: IndentationText.TwoSpaces,
    quoteKind: QuoteKind.Single,
    useTrailingCommas: true,
  };
  return { project: new Morph({ useInMemoryFileSystem: true, manipulationSettings }), kinds };
}

/** Stands for a text that is put in afterwards: ts-morph parses all that it prints, which for long texts takes long. */
export type Inset = (text: string) => string;

/** The text of a file with these statements under a headline. */
export async function printFile(
  headline: string,
  statements: (kinds: Kinds, inset: Inset) => Statements,
): Promise<string> {
  loaded ??= load();
  const { project, kinds } = await loaded;
  const insets: string[] = [];
  const inset: Inset = (text) => `/*inset ${insets.push(text) - 1}*/`;
  const structures = [...statements(kinds, inset)];
  const file = project.createSourceFile(`file_${created++}.ts`, { statements: structures });
  const text = file
    .getFullText()
    .replace(/^( *)\/\*inset (\d+)\*\/$/gm, (_, indent: string, i: string) =>
      indented(insets[Number(i)]!, indent),
    );
  file.forget();
  return `// ${headline}\n\n${text}`;
}

export const indented = (text: string, indent = '  '): string =>
  indent === '' ? text : text.replace(/^(?=.)/gm, indent);
