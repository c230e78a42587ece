/** What stands around every page, from the outside in: data, look, messages, routes. */
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from 'react-router';

import { queryClient } from './api/client';
import { router } from './routes';
import { theme, tokens } from './theme';

export function Providers() {
  return (
    <QueryClientProvider client={queryClient}>
      <MantineProvider theme={theme} cssVariablesResolver={tokens} defaultColorScheme="auto">
        <Notifications position="bottom-left" />
        <RouterProvider router={router} />
      </MantineProvider>
    </QueryClientProvider>
  );
}
