import { Button, Select, Stack } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { NamedLesson } from '../../api/problem';
import { useMe } from '../../api/session';
import type { Lesson, Room, SchoolClass } from '../../api/types';
import { formatTime } from '../../lib/time';
import { ProblemLine } from '../../ui/ProblemLine';
import { VerdictButton } from '../../ui/VerdictButton';
import { type Choice, freeMachines, guessNext, lessonsInTheWay, plannedAs } from './guess';
import classes from './HomePage.module.css';
import { exceptBusy, InTheWay, standingInTheWay } from './InTheWay';
import { MachinePicker } from './MachinePicker';
import { machinesQuery } from './queries';
import { useNow } from './useNow';
import { useStart } from './useStart';

const wrapping = { root: classes.start ?? '', label: classes.startWords ?? '' };

interface Props {
  classes: SchoolClass[];
  rooms: Room[];
  active: Lesson[];
  recent: Lesson[];
  planned: Lesson[];
}

/** Class, room and one large button, which says what it does: also when somebody has the room. */
export function StartForm({ classes: schoolClasses, rooms, active, recent, planned }: Props) {
  const { t, i18n } = useTranslation();
  const me = useMe();
  const now = useNow();
  const [choice, setChoice] = useState<Choice>(() => {
    const known = { held: [...active, ...recent], planned, classes: schoolClasses, rooms };
    return guessNext(known, me.id, now);
  });
  const { classId, roomId, machineIds } = choice;
  const room = rooms.find((candidate) => candidate.id === roomId);
  const { data: machines } = useQuery({
    ...machinesQuery(roomId ?? ''),
    enabled: room !== undefined && room.machine_count > 0,
  });
  const free = freeMachines(active, machines?.items ?? [], roomId);
  const start = useStart();
  const inTheWay = standingInTheWay(lessonsInTheWay(active, choice, me.id), start.error);
  const canShare = inTheWay.length > 0 && machineIds === null && free.length > 0;
  const due = plannedAs(planned, choice, now);

  const choose = (change: Partial<Choice>) => {
    start.reset();
    setChoice({ ...choice, ...change });
  };
  const begin = (seats: string[] | null, replaced: string | null) => {
    if (classId === null || roomId === null) return;
    // A planned lesson begins with the seats it was planned with; with others it is a new one.
    const what =
      due !== null && seats === machineIds
        ? { planned: due.id }
        : { class_id: classId, room_id: roomId, machine_ids: seats };
    start.mutate({ what, replaced });
  };
  const isOwn = (lesson: NamedLesson) => lesson.teacher_id === me.id;
  const replaceLabel = (lesson: NamedLesson) => {
    const className = schoolClasses.find(({ id }) => id === classId)?.name ?? '';
    if (inTheWay.length > 1) return t('home.replace_there', { class: lesson.class_name });
    return isOwn(lesson)
      ? t('home.replace_own', { ended: lesson.class_name, class: className })
      : t('home.replace');
  };

  return (
    <section className={classes.card} aria-label={t('home.start_section')}>
      <Stack gap="lg">
        <div className={classes.fields}>
          <Select
            label={t('home.class')}
            data={schoolClasses.map(({ id, name }) => ({ value: id, label: name }))}
            value={classId}
            onChange={(value) => choose({ classId: value })}
            searchable={schoolClasses.length > 8}
          />
          <Select
            label={t('home.room')}
            data={rooms.map(({ id, name }) => ({ value: id, label: name }))}
            value={roomId}
            onChange={(value) => choose({ roomId: value, machineIds: null })}
            searchable={rooms.length > 8}
          />
        </div>
        {room !== undefined && (
          <div className={classes.facts}>
            {due !== null && (
              <div>{t('home.planned_now', { time: formatTime(i18n.language, due.start_at) })}</div>
            )}
            <div>
              {room.machine_count === 0
                ? t('home.no_machines')
                : t('home.machines', {
                    count: room.machine_count,
                    connected: room.connected_count,
                  })}
            </div>
            <MachinePicker
              machines={free}
              chosen={machineIds}
              isPartOnly={inTheWay.length > 0}
              onChoose={(chosen) => choose({ machineIds: chosen })}
            />
          </div>
        )}
        {inTheWay.map((lesson) => (
          <InTheWay key={lesson.id} lesson={lesson} isOwn={isOwn(lesson)} />
        ))}
        <ProblemLine error={exceptBusy(start.error)} />
        {canShare && (
          <Button
            size="xl"
            classNames={wrapping}
            leftSection={<IconPlayerPlay size={22} aria-hidden />}
            loading={start.isPending}
            onClick={() =>
              begin(
                free.map(({ id }) => id),
                null,
              )
            }
          >
            {t('home.start_free', { count: free.length })}
          </Button>
        )}
        {inTheWay.map((lesson, index) => (
          <Button
            key={lesson.id}
            size={canShare ? 'md' : 'xl'}
            classNames={wrapping}
            variant={canShare || index > 0 ? 'default' : 'filled'}
            loading={start.isPending}
            onClick={() =>
              // Of several, one gives its own seats: the others go on at theirs.
              begin(inTheWay.length > 1 ? (lesson.machine_ids ?? null) : machineIds, lesson.id)
            }
          >
            {replaceLabel(lesson)}
          </Button>
        ))}
        {inTheWay.length === 0 && (
          <VerdictButton
            size="xl"
            classNames={wrapping}
            leftSection={<IconPlayerPlay size={22} aria-hidden />}
            verdict={
              machineIds?.length === 0 ? { ok: false, reason: t('home.pick_some') } : { ok: true }
            }
            loading={start.isPending}
            onClick={() => begin(machineIds, null)}
          >
            {t('home.start')}
          </VerdictButton>
        )}
      </Stack>
    </section>
  );
}
