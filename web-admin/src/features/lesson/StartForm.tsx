import { Button, Select, Stack } from '@mantine/core';
import { IconAlertTriangle, IconPlayerPlay } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';

import { api, queryClient } from '../../api/client';
import { ApiProblem } from '../../api/problem';
import { refresh } from '../../api/refresh';
import { useMe } from '../../api/session';
import type { Lesson, Room, SchoolClass } from '../../api/types';
import { paths } from '../../lib/paths';
import { ProblemLine } from '../../ui/ProblemLine';
import { guessNext, lessonInTheWay } from './guess';
import classes from './HomePage.module.css';
import { activeLessonsQuery, lessonQuery } from './queries';

interface Props {
  classes: SchoolClass[];
  rooms: Room[];
  active: Lesson[];
  recent: Lesson[];
}

export function StartForm({ classes: schoolClasses, rooms, active, recent }: Props) {
  const { t } = useTranslation();
  const me = useMe();
  const navigate = useNavigate();
  const [guess] = useState(() => guessNext(recent, me.id, schoolClasses, rooms));
  const [classId, setClassId] = useState(guess.classId);
  const [roomId, setRoomId] = useState(guess.roomId);
  const room = rooms.find((candidate) => candidate.id === roomId);
  const inTheWay = lessonInTheWay(active, roomId, me.id);

  const start = useMutation({
    mutationFn: async (replaced: string | null) => {
      if (classId === null || roomId === null) return;
      const body = { class_id: classId, room_id: roomId, replace_lesson_id: replaced };
      const { data } = await api.POST('/api/v1/lessons/start', { body });
      if (data === undefined) return;
      queryClient.setQueryData(lessonQuery(data.id).queryKey, data);
      await navigate(paths.lesson(data.id));
    },
    onError: (error) => {
      if (!(error instanceof ApiProblem)) return;
      // Somebody began in between: now the page knows, and offers to end theirs.
      if (error.code === 'room_busy') void refresh(activeLessonsQuery);
      // One's own double click, or a second device: the lesson is on, so go there.
      const id = error.problem.lesson?.id;
      if (error.code === 'lesson_already_running' && typeof id === 'string')
        void navigate(paths.lesson(id));
    },
  });

  return (
    <section className={classes.card} aria-label={t('home.start_section')}>
      <Stack gap="lg">
        <div className={classes.fields}>
          <Select
            label={t('home.class')}
            data={schoolClasses.map(({ id, name }) => ({ value: id, label: name }))}
            value={classId}
            onChange={setClassId}
            searchable={schoolClasses.length > 8}
          />
          <Select
            label={t('home.room')}
            data={rooms.map(({ id, name }) => ({ value: id, label: name }))}
            value={roomId}
            onChange={setRoomId}
            searchable={rooms.length > 8}
          />
        </div>
        {room !== undefined && (
          <div className={classes.facts}>
            {room.machine_count === 0
              ? t('home.no_machines')
              : t('home.machines', { count: room.machine_count, connected: room.connected_count })}
          </div>
        )}
        {inTheWay !== null && (
          <div className={classes.busy} role="status">
            <IconAlertTriangle size={20} aria-hidden />
            {t('home.busy', { teacher: inTheWay.teacher_name, class: inTheWay.class_name })}
          </div>
        )}
        <ProblemLine error={start.error} />
        <Button
          size="xl"
          leftSection={<IconPlayerPlay size={22} aria-hidden />}
          loading={start.isPending}
          onClick={() => start.mutate(inTheWay?.id ?? null)}
        >
          {inTheWay === null ? t('home.start') : t('home.replace')}
        </Button>
      </Stack>
    </section>
  );
}
