import { Select, Textarea } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { AttendanceRecord } from '../../api/types';
import { FormDialog } from '../../ui/FormDialog';
import { attendanceQuery } from './queries';
import { STATUSES } from './statuses';

interface Props {
  lessonId: string;
  record: AttendanceRecord;
  onClose: () => void;
}

/** A correction without a reason is worth nothing a month later, so one is asked for. */
export function CorrectDialog({ lessonId, record, onClose }: Props) {
  const { t } = useTranslation();
  const [status, setStatus] = useState(record.status);
  const [why, setWhy] = useState(record.correction?.why ?? '');
  const correct = $api.useMutation('put', '/api/v1/lessons/{id}/attendance/{student_id}', {
    onSuccess: async () => {
      await refresh(attendanceQuery(lessonId));
      onClose();
    },
  });
  return (
    <FormDialog
      isOpen
      title={record.full_name}
      submit={t('attendance.correct')}
      isBusy={correct.isPending}
      error={correct.error}
      onSubmit={() =>
        correct.mutate({
          params: { path: { id: lessonId, student_id: record.student_id } },
          body: { status, why: why.trim() },
        })
      }
      onClose={onClose}
    >
      <Select
        label={t('attendance.status_head')}
        data={STATUSES.map((value) => ({ value, label: t(`attendance.status.${value}`) }))}
        value={status}
        onChange={(value) => setStatus(STATUSES.find((candidate) => candidate === value) ?? status)}
      />
      <Textarea
        label={t('attendance.why')}
        size="md"
        required
        withAsterisk={false}
        autosize
        minRows={2}
        data-autofocus
        value={why}
        onChange={(event) => setWhy(event.currentTarget.value)}
      />
    </FormDialog>
  );
}
