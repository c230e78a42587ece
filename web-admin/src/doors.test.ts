import { expect, it } from 'vitest';

import { doorOf } from './doors';
import { paths } from './lib/paths';

const stranger = { claimed: true };
const student = { claimed: true, student: { id: 's', full_name: 'Aigul Akhmetova' } };
const teacher = {
  claimed: true,
  session: {
    id: 'me',
    full_name: 'Me',
    email: 'me@school.example',
    language: 'en',
    role: 'teacher',
  },
} as const;

it('gives a student one page and no other', () => {
  expect(doorOf(student, paths.student)).toBeNull();
  for (const page of [paths.home, paths.classes, paths.login, paths.join, paths.claim]) {
    expect(doorOf(student, page)).toBe(paths.student);
  }
});

it("shows the students' page to nobody else", () => {
  expect(doorOf(teacher, paths.student)).toBe(paths.home);
  expect(doorOf(stranger, paths.student)).toBe(paths.join);
});

it('lets a stranger choose between the two doors, and nobody pass them twice', () => {
  expect(doorOf(stranger, paths.join)).toBeNull();
  expect(doorOf(stranger, paths.login)).toBeNull();
  expect(doorOf(stranger, paths.classes)).toBe(paths.login);
  expect(doorOf(teacher, paths.login)).toBe(paths.home);
  expect(doorOf(teacher, paths.classes)).toBeNull();
});

it("shows a box that is nobody's its claim and nothing else", () => {
  expect(doorOf({ claimed: false }, paths.join)).toBe(paths.claim);
  expect(doorOf({ claimed: false }, paths.claim)).toBeNull();
});
