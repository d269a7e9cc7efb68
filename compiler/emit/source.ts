/** Source files built with ts-morph in memory; it is loaded only when TypeScript is emitted. */
import type { Project, SourceFile } from 'ts-morph';

let project: Project | undefined;
let created = 0;

export async function createFile(headline: string): Promise<SourceFile> {
  if (!project) {
    const { IndentationText, Project: Morph, QuoteKind } = await import('ts-morph');
    project = new Morph({
      useInMemoryFileSystem: true,
      manipulationSettings: {
        indentationText: IndentationText.TwoSpaces,
        quoteKind: QuoteKind.Single,
        useTrailingCommas: true,
      },
    });
  }
  return project.createSourceFile(`file_${created++}.ts`, `// ${headline}\n\n`);
}
