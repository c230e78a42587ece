/** Renders a part of a page as `providers.tsx` would. */
import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { render } from '@testing-library/react';
import { type ReactNode, Suspense } from 'react';

import { queryClient } from './api/client';

export function renderPart(part: ReactNode) {
  return render(
    <QueryClientProvider client={queryClient}>
      <MantineProvider env="test">
        <Suspense>{part}</Suspense>
      </MantineProvider>
    </QueryClientProvider>,
  );
}
