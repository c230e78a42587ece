/** What whoever watches a lesson reads beside its picture. */
import { $api } from '../../api/client';

export const showingQuery = (lessonId: string) =>
  $api.queryOptions('get', '/api/v1/lessons/{id}/showing', {
    params: { path: { id: lessonId } },
  });
