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

/** The text of a file with these statements under a headline. */
export async function printFile(headline: string, statements: (kinds: Kinds) => Statements): Promise<string> {
  loaded ??= load();
  const { project, kinds } = await loaded;
  const file = project.createSourceFile(`file_${created++}.ts`, { statements: [...statements(kinds)] });
  const text = `// ${headline}\n\n${file.getFullText()}`;
  file.forget();
  return text;
}
