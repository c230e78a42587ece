import { Select, Textarea, TextInput } from '@mantine/core';
import { useQuery, useSuspenseQueries } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { fieldProblem } from '../../api/problem';
import { refresh } from '../../api/refresh';
import { FormDialog } from '../../ui/FormDialog';
import { MachinePicker } from './MachinePicker';
import { classesQuery, machinesQuery, roomsQuery } from './queries';

const MINUTE_MS = 60_000;

/** A lesson for later. Its length is the box's own setting unless the teacher says otherwise. */
export function PlanDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [classes, rooms] = useSuspenseQueries({ queries: [classesQuery, roomsQuery] });
  const [classId, setClassId] = useState(classes.data.items[0]?.id ?? null);
  const [roomId, setRoomId] = useState(rooms.data.items[0]?.id ?? null);
  const [startsAt, setStartsAt] = useState('');
  const [minutes, setMinutes] = useState('');
  const [title, setTitle] = useState('');
  const [description, setDescription] = useState('');
  const [machineIds, setMachineIds] = useState<string[] | null>(null);
  const { data: machines } = useQuery({ ...machinesQuery(roomId ?? ''), enabled: roomId !== null });
  const plan = $api.useMutation('post', '/api/v1/lessons', {
    onSuccess: async () => {
      await refresh({ queryKey: ['get', '/api/v1/lessons'] });
      onClose();
    },
  });
  const isTimeRefused = fieldProblem(t, plan.error, 'start_at') !== undefined;
  const submit = () => {
    if (classId === null || roomId === null) return;
    const start_at = new Date(startsAt).getTime();
    const planned_end_at = minutes === '' ? null : start_at + Number(minutes) * MINUTE_MS;
    const said = { title: title.trim() || null, description: description.trim() || null };
    const where = { class_id: classId, room_id: roomId, machine_ids: machineIds };
    plan.mutate({ body: { ...where, ...said, start_at, planned_end_at } });
  };

  return (
    <FormDialog
      isOpen
      title={t('lessons.plan')}
      submit={t('lessons.plan_yes')}
      isBusy={plan.isPending}
      error={isTimeRefused ? null : plan.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <Select
        label={t('home.class')}
        data={classes.data.items.map(({ id, name }) => ({ value: id, label: name }))}
        value={classId}
        onChange={setClassId}
      />
      <Select
        label={t('home.room')}
        data={rooms.data.items.map(({ id, name }) => ({ value: id, label: name }))}
        value={roomId}
        onChange={(value) => {
          setRoomId(value);
          setMachineIds(null);
        }}
      />
      <MachinePicker
        machines={(machines?.items ?? []).filter((machine) => machine.is_approved)}
        chosen={machineIds}
        isPartOnly={false}
        onChoose={setMachineIds}
      />
      <TextInput
        label={t('lessons.starts_at')}
        type="datetime-local"
        required
        withAsterisk={false}
        value={startsAt}
        error={isTimeRefused && t('lessons.not_possible')}
        onChange={(event) => setStartsAt(event.currentTarget.value)}
      />
      <TextInput
        label={t('lessons.minutes')}
        type="number"
        min={5}
        max={480}
        description={t('lessons.minutes_about')}
        value={minutes}
        onChange={(event) => setMinutes(event.currentTarget.value)}
      />
      <TextInput
        label={t('lessons.topic')}
        description={t('lessons.topic_about')}
        maxLength={200}
        value={title}
        onChange={(event) => setTitle(event.currentTarget.value)}
      />
      <Textarea
        label={t('lessons.description')}
        autosize
        minRows={2}
        maxRows={6}
        maxLength={2000}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
      />
    </FormDialog>
  );
}
