import { Anchor } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';

import { paths } from '../../lib/paths';
import { formatDateTime } from '../../lib/time';
import { LessonNotes } from '../../ui/LessonNotes';
import { Page } from '../../ui/Page';
import { AttendanceSection } from './AttendanceSection';
import { attendanceQuery } from './queries';

/** The attendance at an address of its own, also while the lesson is on. */
export function AttendancePage() {
  const { t, i18n } = useTranslation();
  const { id = '' } = useParams();
  const { lesson } = useSuspenseQuery(attendanceQuery(id)).data;
  return (
    <Page
      title={t('attendance.of', { class: lesson.class_name })}
      lead={
        <>
          {formatDateTime(i18n.language, lesson.start_at)}
          {' · '}
          {lesson.teacher_name}
          {' · '}
          <Anchor component={Link} to={paths.lesson(id)}>
            {t('attendance.to_lesson')}
          </Anchor>
        </>
      }
    >
      <LessonNotes lesson={lesson} />
      <AttendanceSection lessonId={id} />
    </Page>
  );
}
