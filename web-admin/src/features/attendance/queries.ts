/** What the attendance pages read. */
import { $api } from '../../api/client';

export const attendanceQuery = (lessonId: string) =>
  $api.queryOptions('get', '/api/v1/lessons/{id}/attendance', {
    params: { path: { id: lessonId } },
  });

export const classAttendanceQuery = (classId: string) =>
  $api.queryOptions('get', '/api/v1/classes/{id}/attendance', {
    params: { path: { id: classId } },
  });
