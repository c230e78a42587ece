import { TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { fieldProblem } from '../../api/problem';
import { refresh } from '../../api/refresh';
import type { Student } from '../../api/types';
import { FormDialog } from '../../ui/FormDialog';
import { classesQuery, classQuery, studentsQuery } from './queries';

interface Props {
  classId: string;
  /** `null` makes a new one. */
  student: Student | null;
  onClose: () => void;
}

export function StudentDialog({ classId, student, onClose }: Props) {
  const { t } = useTranslation();
  const [fullName, setFullName] = useState(student?.full_name ?? '');
  const [number, setNumber] = useState(student?.student_id ?? '');
  const [email, setEmail] = useState(student?.email ?? '');
  const save = useMutation({
    mutationFn: async () => {
      const trimmed = email.trim();
      const body = {
        full_name: fullName.trim(),
        student_id: number.trim(),
        email: trimmed === '' ? null : trimmed,
      };
      if (student === null) {
        await api.POST('/api/v1/classes/{id}/students', {
          params: { path: { id: classId } },
          body,
        });
      } else {
        await api.PATCH('/api/v1/students/{id}', { params: { path: { id: student.id } }, body });
      }
      await refresh(studentsQuery(classId), classQuery(classId), classesQuery);
      onClose();
    },
  });

  return (
    <FormDialog
      isOpen
      title={student === null ? t('roster.add_student') : t('roster.edit_student')}
      submit={student === null ? t('roster.add') : t('ui.save')}
      isBusy={save.isPending}
      error={save.error}
      onSubmit={() => save.mutate()}
      onClose={onClose}
    >
      <TextInput
        label={t('roster.full_name')}
        required
        withAsterisk={false}
        data-autofocus
        value={fullName}
        error={fieldProblem(t, save.error, 'full_name')}
        onChange={(event) => setFullName(event.currentTarget.value)}
      />
      <TextInput
        label={t('roster.number')}
        description={t('roster.number_about')}
        required
        withAsterisk={false}
        value={number}
        error={fieldProblem(t, save.error, 'student_id')}
        onChange={(event) => setNumber(event.currentTarget.value)}
      />
      <TextInput
        label={t('roster.email_optional')}
        type="email"
        value={email}
        error={fieldProblem(t, save.error, 'email')}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
    </FormDialog>
  );
}
