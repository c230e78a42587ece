/** What the pages of settings and people read. */
import { $api } from '../../api/client';
import type { RoomPlan } from '../../api/types';

export const settingsQuery = $api.queryOptions('get', '/api/v1/settings');

export const siteQuery = $api.queryOptions('get', '/api/v1/site');

export const teachersQuery = $api.queryOptions('get', '/api/v1/teachers');

export const bandwidthQuery = (query: RoomPlan) =>
  $api.queryOptions('get', '/api/v1/bandwidth', { params: { query } });
