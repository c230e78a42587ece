import { expect, it } from 'vitest';

import { givenName, initials, shortName } from './names';

it('writes a student as a register does', () => {
  expect(shortName('Ахметова Айгуль Маратовна')).toBe('Ахметова А.');
  expect(shortName('Баранов')).toBe('Баранов');
  expect(shortName('Student 12')).toBe('Student 12');
});

it('greets without the family name where there is a patronymic', () => {
  expect(givenName('Петрова Мария Ивановна')).toBe('Мария Ивановна');
  expect(givenName('Mary Smith')).toBe('Mary Smith');
});

it('marks a person with two letters', () => {
  expect(initials('Петрова Мария Ивановна')).toBe('ПМ');
  expect(initials('  mary ')).toBe('M');
});
