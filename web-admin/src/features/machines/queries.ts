/** What the pages of rooms and machines read. */
import { $api } from '../../api/client';

export const roomsQuery = $api.queryOptions('get', '/api/v1/rooms');

export const machinesQuery = (roomId: string) =>
  $api.queryOptions('get', '/api/v1/machines', { params: { query: { room_id: roomId } } });

/** Whether the room's lessons go out in the clear. */
export const openAirQuery = (id: string) =>
  $api.queryOptions('get', '/api/v1/rooms/{id}/open_air', { params: { path: { id } } });

export const tokensQuery = $api.queryOptions('get', '/api/v1/site_tokens');

export const siteQuery = $api.queryOptions('get', '/api/v1/site');
