import { readFileSync } from 'node:fs';

import openapiTS, { astToString } from 'openapi-typescript';
import { expect, it } from 'vitest';

it('has types made from the OpenAPI document that is committed (npm run gen)', async () => {
  const made = astToString(
    await openapiTS(new URL('../../openapi.json', `file://${import.meta.dirname}/`)),
  );
  const committed = readFileSync(`${import.meta.dirname}/schema.gen.ts`, 'utf8');
  // The command line puts a banner before what the library makes.
  expect(committed.endsWith(made)).toBe(true);
});
