/** What the lesson's pages read. */
import { $api } from '../../api/client';

/** A machine that falls silent sends no event: the stream is looked at even when nothing is said. */
const STREAM_EVERY_MS = 5_000;

const of = (id: string) => ({ params: { path: { id } } });

export const lessonQuery = (id: string) => $api.queryOptions('get', '/api/v1/lessons/{id}', of(id));

export const peopleQuery = (id: string) =>
  $api.queryOptions('get', '/api/v1/lessons/{id}/people', of(id));

/** What is on air, which the box tells of. */
export const onAirQuery = (id: string) =>
  $api.queryOptions('get', '/api/v1/lessons/{id}/stream', of(id));

/** The same, with how the machines receive it. */
export const streamQuery = (id: string) => ({
  ...onAirQuery(id),
  refetchInterval: STREAM_EVERY_MS,
});

export const activeLessonsQuery = $api.queryOptions('get', '/api/v1/lessons', {
  params: { query: { status: 'active' } },
});

/** Enough to know what a teacher did last. */
export const recentLessonsQuery = $api.queryOptions('get', '/api/v1/lessons', {
  params: { query: { status: 'completed', limit: 50 } },
});

export const plannedLessonsQuery = $api.queryOptions('get', '/api/v1/lessons', {
  params: { query: { status: 'scheduled' } },
});

/** What happened in a lesson, in order. */
export const eventsQuery = (id: string) =>
  $api.queryOptions('get', '/api/v1/lessons/{id}/events', of(id));

export const classesQuery = $api.queryOptions('get', '/api/v1/classes');

export const roomsQuery = $api.queryOptions('get', '/api/v1/rooms');

/** Whether the room's lessons go out in the clear. */
export const openAirQuery = (roomId: string) =>
  $api.queryOptions('get', '/api/v1/rooms/{id}/open_air', of(roomId));

export const machinesQuery = (roomId: string) =>
  $api.queryOptions('get', '/api/v1/machines', { params: { query: { room_id: roomId } } });

/** Files come and go without a word, so the folder is read whenever it is looked at. */
export const videosQuery = { ...$api.queryOptions('get', '/api/v1/videos'), staleTime: 0 };

export const recordingsOfQuery = (lessonId: string) =>
  $api.queryOptions('get', '/api/v1/recordings', { params: { query: { lesson_id: lessonId } } });

/** A school year of one teacher; older ones are found through their class. */
export const allLessonsQuery = $api.queryOptions('get', '/api/v1/lessons', {
  params: { query: { limit: 500 } },
});
