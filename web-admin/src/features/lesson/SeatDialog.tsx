/**
 * A student sits elsewhere: two presses, one on the student and one on the machine.
 *
 * "Just now" splits what is counted; "was noted wrong" puts right what was written down before.
 */
import { Button, Modal, SegmentedControl, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { Lesson, Person, SeatMode } from '../../api/types';
import { byName } from '../../lib/units';
import { ProblemLine } from '../../ui/ProblemLine';
import { machinesQuery, peopleQuery } from './queries';
import classes from './SeatDialog.module.css';
import { type SeatChoice, seatChoices } from './seats';

interface Props {
  lesson: Lesson;
  people: Person[];
  moved: Person;
  onClose: () => void;
}

export function SeatDialog({ lesson, people, moved, onClose }: Props) {
  const { t, i18n } = useTranslation();
  const [mode, setMode] = useState<SeatMode>('now');
  const { data, error } = useQuery(machinesQuery(lesson.room_id));
  const machines = data?.items ?? [];
  const choices = seatChoices(lesson, machines, people, moved, byName(i18n.language));
  const move = $api.useMutation('post', '/api/v1/lessons/{id}/seats', {
    onSuccess: async () => {
      await refresh(peopleQuery(lesson.id));
      onClose();
    },
  });
  const sit = (machineId: string | null) =>
    move.mutate({
      params: { path: { id: lesson.id } },
      body: { student_id: moved.student_id, machine_id: machineId, mode },
    });

  return (
    <Modal opened onClose={onClose} title={moved.full_name} size="lg">
      <Stack>
        <Text c="dimmed">
          {moved.machine_name === null
            ? t('lesson.seat.nowhere')
            : t('lesson.seat.at', { machine: moved.machine_name })}
        </Text>
        <div>
          <SegmentedControl
            fullWidth
            aria-label={t('lesson.seat.mode')}
            value={mode}
            onChange={setMode}
            data={[
              { value: 'now', label: t('lesson.seat.now') },
              { value: 'was_wrong', label: t('lesson.seat.was_wrong') },
            ]}
          />
          <Text size="sm" c="dimmed" mt={8}>
            {t(`lesson.seat.${mode}_about`)}
          </Text>
        </div>
        <ProblemLine error={error ?? move.error} />
        <div className={classes.seats} role="group" aria-label={t('lesson.seat.where')}>
          {choices.map((choice) => (
            <SeatButton
              key={choice.machineId}
              choice={choice}
              isBusy={move.isPending}
              onPick={() => sit(choice.machineId)}
            />
          ))}
        </div>
        {moved.machine_id !== null && (
          <Button variant="subtle" color="gray" loading={move.isPending} onClick={() => sit(null)}>
            {t('lesson.seat.none')}
          </Button>
        )}
      </Stack>
    </Modal>
  );
}

interface SeatButtonProps {
  choice: SeatChoice;
  isBusy: boolean;
  onPick: () => void;
}

function SeatButton({ choice, isBusy, onPick }: SeatButtonProps) {
  const { t } = useTranslation();
  const { name, others, isOwn, isFull } = choice;
  const sitting = isOwn ? [t('lesson.seat.here'), ...others] : others;
  return (
    <button
      type="button"
      className={classes.seat}
      aria-current={isOwn || undefined}
      disabled={isOwn || isFull || isBusy}
      onClick={onPick}
    >
      <span className={classes.machine}>{name}</span>
      <span className={classes.who}>
        {sitting.length === 0 ? t('lesson.seat.free') : sitting.join(', ')}
      </span>
    </button>
  );
}
