/** Starts the pages: language first, so that no word is ever shown in the wrong one. */
import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import '@fontsource-variable/golos-text/index.css';
import '@fontsource-variable/literata/index.css';
import './theme.css';

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { startI18n } from './i18n';
import { watchOtherTabs } from './lib/privacy';
import { Providers } from './providers';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

watchOtherTabs();
await startI18n();
createRoot(root).render(
  <StrictMode>
    <Providers />
  </StrictMode>,
);
