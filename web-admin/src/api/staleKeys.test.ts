import { QueryClient } from '@tanstack/react-query';
import { expect, it } from 'vitest';

import { $api } from './client';
import { staleKeys } from './staleKeys';

const people = (id: string) =>
  $api.queryOptions('get', '/api/v1/lessons/{id}/people', { params: { path: { id } } });
const machinesOf = (room_id: string) =>
  $api.queryOptions('get', '/api/v1/machines', { params: { query: { room_id } } });

/** Which of the queries an event would have read again. */
function staleOf(
  event: Parameters<typeof staleKeys>[0],
  queries: { queryKey: readonly unknown[] }[],
): number[] {
  const client = new QueryClient();
  queries.forEach(({ queryKey }) => client.setQueryData(queryKey, {}));
  const stale = staleKeys(event);
  if (stale === 'everything') return queries.map((_, index) => index);
  stale.forEach((queryKey) => void client.invalidateQueries({ queryKey }));
  return queries.flatMap(({ queryKey }, index) =>
    client.getQueryState(queryKey)?.isInvalidated === true ? [index] : [],
  );
}

it('reads again the people of that lesson and of no other', () => {
  expect(staleOf({ type: 'people_changed', lesson_id: 'a' }, [people('a'), people('b')])).toEqual([
    0,
  ]);
});

it('reads again every list of machines, whatever its room', () => {
  const event = { type: 'machine_changed', machine_id: 'm', room_id: 'r1' } as const;
  expect(staleOf(event, [machinesOf('r1'), machinesOf('r2'), people('a')])).toEqual([0, 1]);
});

it('reads everything again after a reconnect, for what was missed is unknown', () => {
  expect(staleKeys({ type: 'hello', version: '', now: 0 })).toBe('everything');
  expect(staleKeys({ type: 'resync' })).toBe('everything');
});

it('reads nothing again for what grows every second', () => {
  const fragment = { at_ms: 0, offset: 0, length: 1, keyframe: true };
  expect(
    staleKeys({
      type: 'recording_grew',
      recording_id: 'r',
      lesson_id: 'l',
      segment_id: 's',
      fragment,
    }),
  ).toEqual([]);
});
