/**
 * One lesson at one address, whatever its state: planned, at the desk, or over with its attendance.
 *
 * Here and not in a feature, for it puts two features together.
 */
import { useSuspenseQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';

import { AttendanceSection } from './features/attendance/AttendanceSection';
import { Desk } from './features/lesson/Desk';
import { LessonAhead } from './features/lesson/LessonAhead';
import { LessonOver } from './features/lesson/LessonOver';
import { lessonQuery } from './features/lesson/queries';
import { Shell } from './Shell';

export function LessonRoute() {
  const { id = '' } = useParams();
  const lesson = useSuspenseQuery(lessonQuery(id)).data;
  switch (lesson.status) {
    case 'active':
      return <Desk key={id} lesson={lesson} />;
    case 'scheduled':
      return (
        <Shell>
          <LessonAhead lesson={lesson} />
        </Shell>
      );
    case 'completed':
    case 'cancelled':
      return (
        <Shell>
          <LessonOver lesson={lesson}>
            {lesson.status === 'completed' && <AttendanceSection lessonId={id} />}
          </LessonOver>
        </Shell>
      );
  }
}
