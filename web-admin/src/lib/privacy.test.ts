import { afterEach, expect, it } from 'vitest';

import { announceSurface, isCovered, surfaceOf } from './privacy';

afterEach(() => announceSurface(null));

it('takes a surface that the browser does not name for the whole screen', () => {
  expect(surfaceOf('monitor')).toBe('whole_screen');
  expect(surfaceOf(undefined)).toBe('whole_screen');
  expect(surfaceOf('window')).toBe('window');
  expect(surfaceOf('browser')).toBe('tab');
});

it('covers for the whole screen only, and uncovers when it goes', () => {
  announceSurface('tab');
  expect(isCovered.get()).toBe(false);
  announceSurface('whole_screen');
  expect(isCovered.get()).toBe(true);
  announceSurface('window');
  expect(isCovered.get()).toBe(false);
});
