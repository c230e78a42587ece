import type { QueryKey } from '@tanstack/react-query';

import { queryClient } from './client';

/** Reads again what an action has just changed; the live socket says the same to all the others. */
export function refresh(...queries: { queryKey: QueryKey }[]): Promise<unknown> {
  return Promise.all(queries.map(({ queryKey }) => queryClient.invalidateQueries({ queryKey })));
}
