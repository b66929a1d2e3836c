import { dirname, resolve } from 'node:path';
import ts from 'typescript';

/*
 * The types that users see, read off the built declarations: without comments, sorted, and whatever
 * chunks the bundler happened to put them in. What an entry's own exports mention without exporting it
 * stands below them, for a change there is a change for users too.
 */

/**
 * The public API of one declaration file, as text.
 *
 * @param core another declaration file: what it exports is only named there
 */
export function publicApi(declarations: string, core = declarations): string {
  const file = resolve(declarations);
  const program = ts.createProgram([file, resolve(core)], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    noEmit: true,
    skipLibCheck: true,
  });
  const checker = program.getTypeChecker();

  const resolveAlias = (symbol: ts.Symbol) =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const isOurs = (symbol: ts.Symbol) =>
    symbol.declarations?.every((node) => node.getSourceFile().fileName.startsWith(dirname(file))) ??
    false;

  const exportsOf = (path: string) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(path) as ts.SourceFile);
    if (module === undefined) throw new Error(`${path} exports nothing`);
    const symbols = checker.getExportsOfModule(module);
    return new Map(symbols.map((symbol) => [resolveAlias(symbol), symbol.name]));
  };
  const exported = exportsOf(file);
  const exportedByCore = exportsOf(resolve(core));
  const mentioned = new Set(exported.keys());
  // The walk goes on through what is added meanwhile, so it ends when all has been looked at.
  for (const symbol of mentioned) {
    for (const node of symbol.declarations ?? []) visit(node);
  }

  function visit(node: ts.Node): void {
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node);
      if (symbol !== undefined) mention(resolveAlias(symbol));
    }
    ts.forEachChild(node, visit);
  }

  function mention(symbol: ts.Symbol): void {
    const { Interface, TypeAlias, Class, Function, Variable, Enum } = ts.SymbolFlags;
    const isDeclared = symbol.flags & (Interface | TypeAlias | Class | Function | Variable | Enum);
    const isTopLevel = symbol.declarations?.every((node) => isStatement(node)) ?? false;
    const isNews = isOurs(symbol) && !exportedByCore.has(symbol);
    if (isDeclared && isTopLevel && isNews) mentioned.add(symbol);
  }

  const [own, behind] = [new Map<string, string>(), new Map<string, string>()];
  for (const symbol of mentioned) {
    const name = exported.get(symbol);
    (name === undefined ? behind : own).set(name ?? symbol.name, print(symbol));
  }
  return [...section('Exported', own), ...section('Mentioned by these', behind)].join('\n');
}

function isStatement(node: ts.Node): boolean {
  const statement = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  return ts.isSourceFile(statement.parent);
}

const printer = ts.createPrinter({ removeComments: true });

function print(symbol: ts.Symbol): string {
  return (symbol.declarations ?? [])
    .map((node) => (ts.isVariableDeclaration(node) ? node.parent.parent : node))
    .map((node) => printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile()))
    .join('\n');
}

function section(title: string, declarations: ReadonlyMap<string, string>): string[] {
  if (declarations.size === 0) return [];
  const sorted = [...declarations].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [`## ${title}`, '', '```ts', ...sorted.map(([, text]) => `${text}\n`), '```', ''];
}
