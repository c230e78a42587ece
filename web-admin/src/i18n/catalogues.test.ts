/** The pages speak two languages whole, and nothing is said outside the catalogues. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import ts from 'typescript';
import { describe, expect, it } from 'vitest';

import openapi from '../../openapi.json';
import en from './en.json';
import ru from './ru.json';

type Tree = { [key: string]: string | Tree };

function leaves(tree: Tree, prefix = ''): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === 'string' ? [leaf(prefix + key, value)] : leaves(value, `${prefix}${key}.`),
  );
}

const leaf = (key: string, text: string): [string, string] => [key, text];

/** English has two plural forms and Russian four: they count as one sentence. */
const withoutPlural = (key: string) => key.replace(/_(one|few|many|other)$/, '');
const placeholders = (text: string) =>
  [...text.matchAll(/{{(\w+)}}/g)].map(([, name]) => name).toSorted();

describe('the catalogues', () => {
  it('have the same sentences', () => {
    const keys = (tree: Tree) =>
      [...new Set(leaves(tree).map(([key]) => withoutPlural(key)))].toSorted();
    expect(keys(ru)).toEqual(keys(en));
  });

  it('have every plural form that their language needs', () => {
    const missing = (tree: Tree, language: string) => {
      const has = new Set(leaves(tree).map(([key]) => key));
      const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
      const plural = [...has].filter((key) => key.endsWith('_one')).map(withoutPlural);
      return plural
        .flatMap((key) => forms.map((form) => `${key}_${form}`))
        .filter((key) => !has.has(key));
    };
    expect(missing(en, 'en')).toEqual([]);
    expect(missing(ru, 'ru')).toEqual([]);
  });

  it('fill in the same values', () => {
    const english = new Map(
      leaves(en).map(([key, text]) => [withoutPlural(key), placeholders(text)]),
    );
    for (const [key, text] of leaves(ru)) {
      // Not every plural form repeats the number.
      if (withoutPlural(key) !== key) continue;
      expect(placeholders(text), key).toEqual(english.get(key));
    }
  });

  it("have every problem that the box's own document names", () => {
    const operations = Object.values(openapi.paths).flatMap((methods) => Object.values(methods));
    const names = new Set(operations.map(({ operationId }) => operationId));
    // Responses name their codes between backticks, and now and then another operation. What any
    // request may be answered by is told at the top.
    const told = [openapi.info.description, ...operations.map(({ responses }) => responses)];
    const named = JSON.stringify(told).matchAll(/`([a-z]+(?:_[a-z0-9]+)+)`/g);
    const codes = [...new Set([...named].map(([, code = '']) => code))];
    expect(codes.length).toBeGreaterThan(50);
    expect(codes.filter((code) => !(code in en.problem) && !names.has(code))).toEqual([]);
  });

  it('have every fault of the box, and all that can be wrong with a field or a line', () => {
    const { FaultCode, FieldCode, LineCode } = openapi.components.schemas;
    expect(FaultCode.enum.filter((code) => !(code in en.fault))).toEqual([]);
    const wrong = [...FieldCode.enum, ...LineCode.enum];
    expect(wrong.filter((code) => !(code in en.problem))).toEqual([]);
  });
});

/** Attributes that people read or hear. */
const SPOKEN = new Set(['aria-label', 'alt', 'description', 'label', 'placeholder', 'title']);
/** Proper names, the same in every language. */
const NAMES = new Set([
  'Alfarid',
  'Русский',
  'English',
  'alfarid-site.bin',
  'sudo alfarid-agent enrol',
]);

function saidIn(file: string): string[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(file, 'utf8'),
    ts.ScriptTarget.Latest,
    true,
    ts.ScriptKind.TSX,
  );
  const said: string[] = [];
  const hear = (text: string) => {
    if (/\p{L}/u.test(text) && !NAMES.has(text.trim()))
      said.push(`${path.basename(file)}: ${text.trim()}`);
  };
  const hearAttribute = (node: ts.JsxAttribute) => {
    const value = node.initializer;
    if (SPOKEN.has(node.name.getText(source)) && value !== undefined && ts.isStringLiteral(value))
      hear(value.text);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isJsxText(node)) hear(node.text);
    if (
      ts.isJsxExpression(node) &&
      node.expression !== undefined &&
      ts.isStringLiteral(node.expression)
    ) {
      hear(node.expression.text);
    }
    if (ts.isJsxAttribute(node)) hearAttribute(node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return said;
}

it('says nothing outside the catalogues', () => {
  const root = path.join(import.meta.dirname, '..');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.tsx') && !file.includes('.test.'))
    .map((file) => path.join(root, file));
  expect(files.length).toBeGreaterThan(30);
  expect(files.flatMap(saidIn)).toEqual([]);
});
