/** What jsdom lacks and the pages' tests need. */
import { cleanup, configure } from '@testing-library/react';
import { afterEach, beforeAll, vi } from 'vitest';

import { startI18n } from './i18n';

// Only ever used up by a failing test: a busy machine takes its time to open a dialog.
configure({ asyncUtilTimeout: 5_000 });
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
