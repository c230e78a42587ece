/** What jsdom lacks and the pages' tests need. */
import { cleanup } from '@testing-library/react';
import { afterEach, beforeAll, vi } from 'vitest';

import { startI18n } from './i18n';

beforeAll(startI18n);
afterEach(cleanup);

// Mantine asks for the colour scheme and watches sizes; neither exists without a screen.
vi.stubGlobal('matchMedia', (query: string) => ({
  matches: false,
  media: query,
  addEventListener: () => {},
  removeEventListener: () => {},
}));
vi.stubGlobal(
  'ResizeObserver',
  class {
    observe() {}
    unobserve() {}
    disconnect() {}
  },
);
