import { expect, it } from 'vitest';

import { formatElapsed } from './time';
import { byName, formatBytes } from './units';

it('counts a lesson like a stopwatch', () => {
  expect(formatElapsed(0)).toBe('0:00');
  expect(formatElapsed(754_900)).toBe('12:34');
  expect(formatElapsed(3_723_000)).toBe('1:02:03');
  expect(formatElapsed(-5000)).toBe('0:00');
});

it('gives bytes the unit that a person would choose', () => {
  expect(formatBytes('en', 4_210_000_000)).toBe('4.2 GB');
  expect(formatBytes('en', 71_000_000_000)).toBe('71 GB');
  expect(formatBytes('ru', 950_000)).toBe('950 кБ');
});

it('sorts machines as people count them', () => {
  const names = ['PC 10', 'PC 2', 'PC 1'].map((name) => ({ name }));
  expect(names.toSorted(byName('en')).map(({ name }) => name)).toEqual(['PC 1', 'PC 2', 'PC 10']);
});
