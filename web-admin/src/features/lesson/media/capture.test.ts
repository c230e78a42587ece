import { expect, it } from 'vitest';

import { blockingLimit, type Browser, browserLimits } from './capture';

const chromiumOnWindows: Browser = {
  isSecureContext: true,
  hasScreenCapture: true,
  isLinux: false,
  isFirefox: false,
  isSafari: false,
  hasH264: true,
};

it('has nothing to say of a browser that gives everything', () => {
  expect(browserLimits(chromiumOnWindows)).toEqual([]);
});

it('says beforehand that Linux gives no sound of a whole screen', () => {
  expect(browserLimits({ ...chromiumOnWindows, isLinux: true })).toEqual(['no_screen_sound_linux']);
});

it('says beforehand that Firefox sends VP8 and no sound', () => {
  const firefox = { ...chromiumOnWindows, isFirefox: true, hasH264: false };
  expect(browserLimits(firefox)).toEqual(['no_sound_in_browser', 'vp8_only']);
});

it('names only what makes sharing impossible, where it is', () => {
  const phone = { ...chromiumOnWindows, hasScreenCapture: false, isLinux: true };
  expect(browserLimits(phone)).toEqual(['no_screen_capture']);
  expect(browserLimits({ ...phone, isSecureContext: false })).toEqual(['insecure_context']);
  expect(blockingLimit(browserLimits(phone))).toBe('no_screen_capture');
  expect(blockingLimit(browserLimits({ ...chromiumOnWindows, isLinux: true }))).toBeNull();
});
