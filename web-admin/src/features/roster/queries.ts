/** What the pages of classes read. */
import { $api } from '../../api/client';

const of = (id: string) => ({ params: { path: { id } } });

export const classesQuery = $api.queryOptions('get', '/api/v1/classes');

export const classQuery = (id: string) => $api.queryOptions('get', '/api/v1/classes/{id}', of(id));

export const studentsQuery = (id: string) =>
  $api.queryOptions('get', '/api/v1/classes/{id}/students', of(id));

export const roomsQuery = $api.queryOptions('get', '/api/v1/rooms');

export const machinesQuery = (roomId: string) =>
  $api.queryOptions('get', '/api/v1/machines', { params: { query: { room_id: roomId } } });

export const seatingQuery = (classId: string, roomId: string) =>
  $api.queryOptions('get', '/api/v1/classes/{id}/seating/{room_id}', {
    params: { path: { id: classId, room_id: roomId } },
  });
