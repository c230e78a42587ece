/**
 * A student's own page: who they are, which lesson of theirs is on, its picture, and whether it
 * counts them.
 *
 * It is the open page that counts, so it says no more than the box does, and nothing while the box
 * is out of reach: the banner speaks then.
 */
import { Button, Stack, Text, Title } from '@mantine/core';
import { useMutation, useSuspenseQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { linkState } from '../../api/liveBox';
import { enterAs } from '../../api/session';
import type { OwnLesson } from '../../api/types';
import { useStore } from '../../lib/store';
import { formatTime } from '../../lib/time';
import { Doorstep } from '../../ui/Doorstep';
import { Mark } from '../../ui/Mark';
import { ProblemLine } from '../../ui/ProblemLine';
import { LessonPicture } from '../../ui/watch/LessonPicture';
import { ownLessonQuery } from './queries';
import classes from './StudentPage.module.css';
import { useAwake } from './useAwake';

export function StudentPage() {
  const { t } = useTranslation();
  const own = useSuspenseQuery(ownLessonQuery).data;
  const signOut = useMutation({
    mutationFn: async () => {
      await api.DELETE('/api/v1/session');
      await enterAs(null);
    },
  });
  useAwake(own.lesson !== null);
  useTitle(own.lesson?.title);

  const signOutButton = (
    <Button variant="default" loading={signOut.isPending} onClick={() => signOut.mutate()}>
      {t('student.sign_out')}
    </Button>
  );
  if (own.lesson !== null) {
    return (
      <div className={classes.page}>
        <header className={classes.top}>
          <h1 className={classes.who}>
            {own.full_name}
            {own.class_name !== null && (
              <Text component="span" c="dimmed" ml={10}>
                {own.class_name}
              </Text>
            )}
          </h1>
          {signOutButton}
        </header>
        <main className={classes.main}>
          <LessonPicture key={own.lesson.id} lessonId={own.lesson.id} title={own.lesson.title} />
          <div className={classes.words}>
            <ProblemLine error={signOut.error} />
            <LessonNow lesson={own.lesson} />
          </div>
        </main>
      </div>
    );
  }
  return (
    <Doorstep title={own.full_name} lead={own.class_name ?? ''}>
      <Stack gap="lg">
        <Text role="status">{t('student.no_lesson')}</Text>
        <ProblemLine error={signOut.error} />
        {signOutButton}
      </Stack>
    </Doorstep>
  );
}

/** Without a name: the tab may be left to somebody else. */
function useTitle(lesson: string | undefined): void {
  useEffect(() => {
    document.title = lesson === undefined ? 'Alfarid' : `${lesson} · Alfarid`;
  }, [lesson]);
}

function LessonNow({ lesson }: { lesson: OwnLesson }) {
  const { t, i18n } = useTranslation();
  const isInReach = useStore(linkState) === 'up';
  const time = formatTime(i18n.language, lesson.start_at);
  return (
    <Stack gap="xs" role="status" align="start">
      <Text c="dimmed">{t('student.lesson')}</Text>
      <Title order={2}>{lesson.title}</Title>
      <Text>{t('student.teacher_since', { teacher: lesson.teacher_name, time })}</Text>
      {isInReach && (
        <Mark tone={lesson.is_here ? 'good' : 'look'}>
          {lesson.is_here ? t('student.here') : t('student.not_here')}
        </Mark>
      )}
      <Text size="sm" c="dimmed">
        {t('student.keep_open')}
      </Text>
    </Stack>
  );
}
