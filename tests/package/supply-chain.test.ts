import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manifest, openWorkshop, readManifest, ROOT, type Workshop } from './project.ts';

/*
 * What stands between this repository and a user's `node_modules`. That an install brings no other package and
 * runs nothing, `tarball.test.ts` holds. Advisories are known to the registry alone, which not every mirror
 * passes on: so the workflows ask it, and that they do is held here.
 */

const WORKFLOWS = join(ROOT, '.github/workflows');

let workshop: Workshop;
let installed: string;
let workflows: ReadonlyMap<string, string>;

beforeAll(async () => {
  workshop = await openWorkshop();
  const project = await workshop.project('supply-chain', [], { peers: false });
  installed = join(project, 'node_modules/bullmq-job-status');
  const names = await readdir(WORKFLOWS);
  const texts = names.map((name) => readFile(join(WORKFLOWS, name), 'utf8'));
  workflows = new Map(
    (await Promise.all(texts)).map((text, at): [string, string] => [names[at] ?? '', text]),
  );
});
afterAll(() => workshop?.[Symbol.asyncDispose]());

/** The lines below a key, as deep as the first of them at least, without comments. */
function below(key: string, text: string): string[] {
  const lines = text.split('\n').filter((line) => !/^\s*(?:#|$)/.test(line));
  const at = lines.findIndex((line) => line.trim() === `${key}:`);
  const depthOf = (line: string) => line.search(/\S/);
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => depthOf(line) <= depthOf(lines[at] ?? ''));
  return at === -1 ? [] : rest.slice(0, end === -1 ? rest.length : end).map((line) => line.trim());
}

describe('what is published', () => {
  test('no source map, and no word of the machine that built it', async () => {
    const entries = await readdir(installed, { recursive: true, withFileTypes: true });
    const files = entries.filter((each) => each.isFile());
    expect(files.length).toBeGreaterThan(20);
    for (const { parentPath, name } of files) {
      expect(name).not.toMatch(/\.map$/);
      const text = await readFile(join(parentPath, name), 'utf8');
      for (const trace of ['sourceMappingURL', ROOT, `${homedir()}/`])
        expect(text.includes(trace), `${trace} in ${name}`).toBe(false);
    }
  });

  test('no test, no example and no source: only what `files` names, and what npm adds to it', async () => {
    const { files } = readManifest(installed);
    expect(files).toEqual(['dist', 'CHANGELOG.md']);
    const added = ['LICENSE', 'README.md', 'package.json'];
    const entries = await readdir(installed);
    expect([...added, 'CHANGELOG.md', 'dist']).toEqual(expect.arrayContaining(entries));
    const built = await readdir(join(installed, 'dist'));
    expect(built.filter((name) => !/\.(?:c?js|d\.c?ts|txt)$/.test(name))).toEqual([]);
  });
});

describe('how it is published', () => {
  test('with provenance, and by the release script alone, which runs on what was just built', () => {
    expect(manifest['publishConfig']).toEqual({ access: 'public', provenance: true });
    expect(manifest['scripts']).toMatchObject({
      release: 'changeset publish',
      prepublishOnly: 'npm run build',
    });
    const publishing = [...workflows].filter(([, text]) => /\bpublish\b/.test(text));
    expect(publishing.map(([name]) => name)).toEqual(['release.yml']);
    expect(workflows.get('release.yml')).toContain('publish: npm run release\n');
  });

  test('by the identity of the release workflow: there is no token of npm to steal', () => {
    const [tests = '', release = ''] = (workflows.get('release.yml') ?? '').split('\n  release:\n');
    expect(below('permissions', release)).toContain('id-token: write');
    // Which is not in reach of what the tests run, nor is anything released without them.
    expect(release).toContain('needs: test\n');
    expect(release).not.toMatch(/npm (?:test|audit)/);
    expect(tests).toContain('npm test\n');
    expect(tests).not.toContain(': write');
    for (const [name, text] of workflows) {
      const secrets = [...text.matchAll(/secrets\.(\w+)/g)].map(([, secret]) => secret);
      const expected = name === 'release.yml' ? ['GITHUB_TOKEN'] : [];
      expect(secrets, name).toEqual(expected);
      expect(text, name).not.toMatch(/NPM_TOKEN|NODE_AUTH_TOKEN|_authToken/);
    }
  });

  test('from the repository that the package names, which npm checks against the provenance', () => {
    const { url } = manifest['repository'] as { readonly url: string };
    const [, repository] = /^git\+https:\/\/github\.com\/(.+)\.git$/.exec(url) ?? [];
    expect(workflows.get('release.yml')).toContain(`if: github.repository == '${repository}'`);
  });
});

describe('what the workflows may do', () => {
  test('nothing but read, unless a job says what it needs; and no job of a pull request may write', () => {
    for (const [name, text] of workflows) {
      const [header = '', jobs = ''] = text.split(/^jobs:$/m);
      const granted = [...below('permissions', header), /^permissions: \{\}$/m.exec(header)?.[0]];
      expect(
        granted.filter((each) => each !== undefined),
        name,
      ).toEqual([name === 'release.yml' ? 'permissions: {}' : 'contents: read']);
      // A step that fails is not passed over.
      expect(text, name).not.toMatch(/continue-on-error|\|\| true/);
      if (!/^ {2}pull_request/m.test(header)) continue;
      expect(header, name).not.toContain('pull_request_target');
      expect(jobs, name).not.toMatch(/^\s*permissions:/m);
    }
  });

  test('only the release job writes: versions to the repository, and its identity to npm', () => {
    const writing = [...workflows].flatMap(([name, text]) =>
      [...text.matchAll(/^\s*([\w-]+): write$/gm)].map(([, right]) => `${name} ${right}`),
    );
    expect(writing).toEqual(
      ['contents', 'pull-requests', 'id-token'].map((right) => `release.yml ${right}`),
    );
  });

  test.each(['ci.yml', 'release.yml'])('%s audits what users install, with every peer', (name) => {
    const [, step = ''] = (workflows.get(name) ?? '').split('- name: Audit what users install\n');
    const audit = below('run', step.replace('run: |', 'run:'));
    const install = audit.find((line) => line.startsWith('npm install ')) ?? '';
    const peers = Object.keys(manifest.peerDependencies);
    expect(install.split(' ')).toEqual(expect.arrayContaining(['"$RUNNER_TEMP"/*.tgz', ...peers]));
    expect(audit.at(-1)).toBe('npm audit');
  });
});

test('every package that `npm ci` brings is pinned by its contents', async () => {
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly integrity?: string }>>;
  };
  const { '': _own, ...others } = lock.packages;
  expect(Object.keys(others).length).toBeGreaterThan(100);
  for (const [name, { integrity }] of Object.entries(others))
    expect(integrity, name).toMatch(/^sha512-/);
});
