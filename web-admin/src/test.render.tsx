/** Renders a part of a page as `providers.tsx` would. */
import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { render } from '@testing-library/react';
import { type ReactNode, Suspense } from 'react';

import { $api, queryClient } from './api/client';
import type { BoxState, Role } from './api/types';

export function renderPart(part: ReactNode) {
  return render(
    <QueryClientProvider client={queryClient}>
      <MantineProvider env="test">
        <Suspense>{part}</Suspense>
      </MantineProvider>
    </QueryClientProvider>,
  );
}

/** The gate has let `me` in. */
export function signIn(role: Role = 'teacher'): void {
  const state: BoxState = {
    box_name: 'box',
    claimed: true,
    clock: { now: Date.now(), sure: true },
    faults: [],
    session: { id: 'me', full_name: 'Me', email: 'me@school.example', language: 'en', role },
    site_name: 'School',
    version: '0.1.0',
  };
  queryClient.setQueryData($api.queryOptions('get', '/api/v1/state').queryKey, state);
}
