import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The code blocks of a language in a file of `docs/`, in order: tests run them as they stand there. */
export function docsBlocks(file: string, language: string): string[] {
  const text = readFileSync(fileURLToPath(new URL(`../../docs/${file}`, import.meta.url)), 'utf8');
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code]) => code as string,
  );
}
