/** What the pages of settings and people read. */
import { $api } from '../../api/client';

export const settingsQuery = $api.queryOptions('get', '/api/v1/settings');

export const siteQuery = $api.queryOptions('get', '/api/v1/site');

export const teachersQuery = $api.queryOptions('get', '/api/v1/teachers');
