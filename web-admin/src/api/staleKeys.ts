/**
 * Which queries an event makes untrue.
 *
 * The keys are the ones openapi-react-query makes: method, path, parameters. A key without
 * parameters stands for all of them. Leaving an event out does not compile.
 */
import type { LiveEvent } from './types';
import type { paths } from './schema.gen';

/** A path that can be read. */
type ReadPath = { [P in keyof paths]: paths[P] extends { get: object } ? P : never }[keyof paths];

export type StaleKey = readonly ['get', ReadPath, { params: { path: Record<string, string> } }?];

export type Staleness = 'everything' | readonly StaleKey[];

type EventOf<T extends LiveEvent['type']> = Extract<LiveEvent, { type: T }>;

const TABLE: { [T in LiveEvent['type']]: (event: EventOf<T>) => Staleness } = {
  hello: () => 'everything',
  resync: () => 'everything',
  bye: () => [],
  lesson_changed: ({ lesson_id: id }) => [
    ['get', '/api/v1/lessons'],
    of('/api/v1/lessons/{id}', { id }),
    of('/api/v1/lessons/{id}/people', { id }),
    of('/api/v1/lessons/{id}/attendance', { id }),
    of('/api/v1/lessons/{id}/events', { id }),
    of('/api/v1/lessons/{id}/showing', { id }),
    ['get', '/api/v1/recordings'],
    ['get', '/api/v1/me/lesson'],
  ],
  people_changed: ({ lesson_id: id }) => [of('/api/v1/lessons/{id}/people', { id })],
  attendance_changed: ({ lesson_id: id }) => [
    of('/api/v1/lessons/{id}/attendance', { id }),
    ['get', '/api/v1/classes/{id}/attendance'],
  ],
  stream_changed: ({ lesson_id: id }) => [
    of('/api/v1/lessons/{id}/stream', { id }),
    of('/api/v1/lessons/{id}/showing', { id }),
  ],
  // The picture is an <img>, not a query: `usePreview` listens to the event itself.
  preview_changed: () => [],
  machine_changed: () => [
    ['get', '/api/v1/machines'],
    ['get', '/api/v1/rooms'],
    ['get', '/api/v1/site_tokens'],
  ],
  room_changed: ({ room_id: id }) => [of('/api/v1/rooms/{id}/open_air', { id })],
  roster_changed: ({ class_id: id }) => [
    ['get', '/api/v1/classes'],
    of('/api/v1/classes/{id}', { id }),
    of('/api/v1/classes/{id}/students', { id }),
    ['get', '/api/v1/classes/{id}/seating/{room_id}'],
  ],
  recording_changed: ({ recording_id: id }) => [
    ['get', '/api/v1/recordings'],
    of('/api/v1/recordings/{id}', { id }),
  ],
  // A fragment a second for every track: the player adds it to what it has instead of reading again.
  recording_grew: () => [],
  fault_changed: () => [
    ['get', '/api/v1/health'],
    ['get', '/api/v1/state'],
  ],
};

export function staleKeys<T extends LiveEvent['type']>(event: EventOf<T> & { type: T }): Staleness {
  const rule: (event: EventOf<T>) => Staleness = TABLE[event.type];
  return rule(event);
}

function of(path: ReadPath, ids: Record<string, string>): StaleKey {
  return ['get', path, { params: { path: ids } }];
}
