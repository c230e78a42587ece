/** What a student's pages read. */
import { $api } from '../../api/client';

export const ownLessonQuery = $api.queryOptions('get', '/api/v1/me/lesson');
