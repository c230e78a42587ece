/** The shape of the pages, kept by a machine: who may import whom, and how long a file may be. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, it } from 'vitest';

const root = import.meta.dirname;
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.tsx?$/.test(file))
  .filter(
    (file) => !file.includes('.test.') && !file.startsWith('test.') && !file.endsWith('.gen.ts'),
  );

/** What each layer may stand on, besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: [],
  i18n: ['api', 'lib'],
  api: ['lib', 'i18n'],
  ui: ['api', 'lib', 'i18n'],
  features: ['ui', 'api', 'lib', 'i18n'],
};

/** The folder that counts: a layer, or one feature. */
function placeOf(file: string): string {
  const [top = '', next = ''] = file.split(path.sep);
  if (top === 'features') return `features/${next}`;
  return top in MAY_IMPORT ? top : 'composition';
}

function importsOf(file: string): string[] {
  const source = readFileSync(path.join(root, file), 'utf8');
  return [...source.matchAll(/from '(\.[^']+)'/g)].map(([, target = '']) =>
    path.normalize(path.join(path.dirname(file), target)),
  );
}

it('lets imports go down the layers only, and no feature into another', () => {
  const wrong = files.flatMap((file) => {
    const from = placeOf(file);
    if (from === 'composition') return [];
    const allowed = MAY_IMPORT[from.startsWith('features/') ? 'features' : from] ?? [];
    return importsOf(file)
      .filter((target) => placeOf(target) !== from && !allowed.includes(placeOf(target)))
      .map((target) => `${file} -> ${target}`);
  });
  expect(wrong).toEqual([]);
});

it('keeps files short enough to be read at once', () => {
  const long = files.filter(
    (file) => readFileSync(path.join(root, file), 'utf8').split('\n').length > 350,
  );
  expect(long).toEqual([]);
});
