import { Button } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { $api, queryClient } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { Lesson } from '../../api/types';
import { formatDateTime } from '../../lib/time';
import { Page } from '../../ui/Page';
import { ProblemLine } from '../../ui/ProblemLine';
import { roomTitle } from '../../ui/roomTitle';
import { lessonQuery } from './queries';

/** A lesson that has been planned: it may begin now, or not at all. */
export function LessonAhead({ lesson }: { lesson: Lesson }) {
  const { t, i18n } = useTranslation();
  const of = { params: { path: { id: lesson.id } } };
  const onSuccess = async (changed: Lesson) => {
    queryClient.setQueryData(lessonQuery(lesson.id).queryKey, changed);
    await refresh({ queryKey: ['get', '/api/v1/lessons'] });
  };
  const start = $api.useMutation('post', '/api/v1/lessons/{id}/start', { onSuccess });
  const cancel = $api.useMutation('post', '/api/v1/lessons/{id}/cancel', { onSuccess });
  return (
    <Page
      title={t('lesson.class_in_room', {
        class: lesson.class_name,
        room: roomTitle(t, lesson.room_name),
      })}
      lead={t('lessons.begins', {
        at: formatDateTime(i18n.language, lesson.start_at),
        teacher: lesson.teacher_name,
      })}
      actions={
        <>
          <Button variant="default" loading={cancel.isPending} onClick={() => cancel.mutate(of)}>
            {t('lessons.cancel')}
          </Button>
          <Button
            leftSection={<IconPlayerPlay size={18} aria-hidden />}
            loading={start.isPending}
            onClick={() => start.mutate(of)}
          >
            {t('home.start')}
          </Button>
        </>
      }
    >
      <ProblemLine error={start.error ?? cancel.error} />
    </Page>
  );
}
