import { Text } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { $api, queryClient } from '../../api/client';
import { linkState } from '../../api/liveBox';
import type { NamedLesson } from '../../api/problem';
import { refresh } from '../../api/refresh';
import { useMe } from '../../api/session';
import type { Lesson } from '../../api/types';
import { useStore } from '../../lib/store';
import { formatDateTime } from '../../lib/time';
import { LessonNotes } from '../../ui/LessonNotes';
import { Page } from '../../ui/Page';
import { ProblemLine } from '../../ui/ProblemLine';
import { roomTitle } from '../../ui/roomTitle';
import { type Verdict, VerdictButton } from '../../ui/VerdictButton';
import { lessonsInTheWay } from './guess';
import { exceptBusy, InTheWay, standingInTheWay } from './InTheWay';
import { type Can, lessonCan } from './lessonCan';
import { activeLessonsQuery, lessonQuery } from './queries';
import { useStart } from './useStart';

/** A lesson that has been planned: any teacher may begin it now, whoever has the room. */
export function LessonAhead({ lesson }: { lesson: Lesson }) {
  const { t, i18n } = useTranslation();
  const me = useMe();
  const isBoxHere = useStore(linkState) !== 'down';
  const active = useSuspenseQuery(activeLessonsQuery).data.items;
  const start = useStart();
  const cancel = $api.useMutation('post', '/api/v1/lessons/{id}/cancel', {
    onSuccess: async (changed) => {
      queryClient.setQueryData(lessonQuery(lesson.id).queryKey, changed);
      await refresh({ queryKey: ['get', '/api/v1/lessons'] });
    },
  });
  const choice = {
    classId: lesson.class_id,
    roomId: lesson.room_id,
    machineIds: lesson.machine_ids,
  };
  const inTheWay = standingInTheWay(lessonsInTheWay(active, choice, me.id), start.error);
  const isOwn = (other: NamedLesson) => other.teacher_id === me.id;
  const verdict = (can: Can): Verdict =>
    can.ok
      ? can
      : { ok: false, reason: t(`lesson.cannot.${can.reason}`, { teacher: lesson.teacher_name }) };
  const startLabel = ([first]: NamedLesson[]) => {
    if (first === undefined) return t('home.start');
    return isOwn(first)
      ? t('home.replace_own', { ended: first.class_name, class: lesson.class_name })
      : t('home.replace');
  };

  return (
    <Page
      title={t('lesson.class_in_room', {
        class: lesson.class_name,
        room: roomTitle(t, lesson.room_name),
      })}
      lead={[
        lesson.title === lesson.class_name ? '' : lesson.title,
        t('lessons.begins', {
          at: formatDateTime(i18n.language, lesson.start_at),
          teacher: lesson.teacher_name,
        }),
      ]
        .filter((fact) => fact !== '')
        .join(' · ')}
      actions={
        <>
          <VerdictButton
            variant="default"
            verdict={verdict(lessonCan.cancel(lesson, { me, isBoxHere }))}
            loading={cancel.isPending}
            onClick={() => cancel.mutate({ params: { path: { id: lesson.id } } })}
          >
            {t('lessons.cancel')}
          </VerdictButton>
          <VerdictButton
            leftSection={<IconPlayerPlay size={18} aria-hidden />}
            verdict={inTheWay.length > 1 ? { ok: false, reason: t('home.several') } : { ok: true }}
            loading={start.isPending}
            onClick={() =>
              start.mutate({ what: { planned: lesson.id }, replaced: inTheWay[0]?.id ?? null })
            }
          >
            {startLabel(inTheWay)}
          </VerdictButton>
        </>
      }
    >
      {inTheWay.map((other) => (
        <InTheWay key={other.id} lesson={other} isOwn={isOwn(other)} />
      ))}
      <LessonNotes lesson={lesson} />
      {lesson.description !== null && (
        <Text style={{ whiteSpace: 'pre-line' }}>{lesson.description}</Text>
      )}
      <ProblemLine error={exceptBusy(start.error) ?? cancel.error} />
    </Page>
  );
}
