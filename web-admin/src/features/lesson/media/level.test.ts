import { expect, it } from 'vitest';

import { loudness, SilenceWatch } from './level';

/** Feeds tenths of a second; answers whether the watch complained at the end. */
function listen(watch: SilenceWatch, peak: number, seconds: number, isMuted = false): boolean {
  let isSilent = false;
  for (let tenth = 0; tenth < seconds * 10; tenth += 1) isSilent = watch.feed(peak, isMuted, 100);
  return isSilent;
}

it('complains after five seconds of a microphone that never gave anything', () => {
  const watch = new SilenceWatch();
  expect(listen(watch, 0, 4.9)).toBe(false);
  expect(listen(watch, 0, 0.1)).toBe(true);
});

it('is patient with a teacher who was heard and thinks', () => {
  const watch = new SilenceWatch();
  listen(watch, 0.2, 1);
  expect(listen(watch, 0, 29)).toBe(false);
  expect(listen(watch, 0, 1)).toBe(true);
  expect(listen(watch, 0.2, 0.1)).toBe(false);
});

it('does not take muting for a fault', () => {
  expect(listen(new SilenceWatch(), 0, 60, true)).toBe(false);
});

it('shows decibels in even steps', () => {
  expect(loudness(1)).toBe(1);
  expect(loudness(10 ** (-30 / 20))).toBeCloseTo(0.5);
  expect(loudness(0)).toBe(0);
});
