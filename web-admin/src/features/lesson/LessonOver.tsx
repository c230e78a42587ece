import { Button, Text } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import type { Lesson } from '../../api/types';
import { paths } from '../../lib/paths';
import { formatDateTime, formatElapsed, formatTime } from '../../lib/time';
import { LessonNotes } from '../../ui/LessonNotes';
import { Page } from '../../ui/Page';
import { roomTitle } from '../../ui/roomTitle';
import { LessonLog } from './LessonLog';
import { recordingsOfQuery } from './queries';

interface Props {
  lesson: Lesson;
  /** What else is known of the lesson: its attendance. */
  children: ReactNode;
}

/** A lesson that is over: what became of it, and where to go from here. */
export function LessonOver({ lesson, children }: Props) {
  const { t, i18n } = useTranslation();
  const recordings = useSuspenseQuery(recordingsOfQuery(lesson.id)).data.items;
  const seconds = lesson.duration_seconds;
  const facts = [
    lesson.title === lesson.class_name ? '' : lesson.title,
    t('lesson.class_in_room', { class: lesson.class_name, room: roomTitle(t, lesson.room_name) }),
    lesson.teacher_name,
    formatDateTime(i18n.language, lesson.start_at),
    seconds == null ? '' : formatElapsed(seconds * 1000),
  ];
  return (
    <Page
      title={t(`lesson.over.${lesson.status}`)}
      lead={facts.filter((fact) => fact !== '').join(' · ')}
      actions={
        <>
          {recordings.map((recording) => (
            <Button
              key={recording.id}
              variant="light"
              component={Link}
              to={paths.recording(recording.id)}
            >
              {recordings.length === 1
                ? t('lesson.to_recording')
                : t('lesson.to_recording_of', {
                    time: formatTime(i18n.language, recording.started_at),
                  })}
            </Button>
          ))}
          <Button component={Link} to={paths.home}>
            {t('lesson.to_home')}
          </Button>
        </>
      }
    >
      <LessonNotes lesson={lesson} />
      {lesson.description !== null && (
        <Text style={{ whiteSpace: 'pre-line' }}>{lesson.description}</Text>
      )}
      {children}
      <LessonLog lessonId={lesson.id} />
    </Page>
  );
}
