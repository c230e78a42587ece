/**
 * Reading again what is no longer true, be it by an action of this page or by the live socket.
 *
 * A first read that is still on its way when the news comes may have been answered before it: the
 * cache would take that answer for fresh, so such a read is done once more when it ends.
 */
import type { QueryClient, QueryKey } from '@tanstack/react-query';

import { queryClient } from './client';

/** Reads again what an action has just changed; the live socket says the same to all the others. */
export function refresh(...queries: { queryKey: QueryKey }[]): Promise<unknown> {
  return Promise.all(queries.map(({ queryKey }) => readAgain(queryClient, queryKey)));
}

/** Everything below `queryKey`, or everything. Resolves when what is on show has been read. */
export async function readAgain(client: QueryClient, queryKey: QueryKey = []): Promise<void> {
  const reading = client.getQueryCache().findAll({ queryKey, fetchStatus: 'fetching' });
  const unread = reading.filter((query) => query.state.data === undefined);
  await Promise.all([
    client.invalidateQueries({ queryKey }),
    ...unread.map(async (query) => {
      // One that failed shows that it did, and is asked for again by whoever sees it.
      const isRead = await query.promise?.then(
        () => true,
        () => false,
      );
      if (isRead === true) {
        await client.invalidateQueries({ queryKey: query.queryKey, exact: true });
      }
    }),
  ]);
}
