import { Switch, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { fieldProblem } from '../../api/problem';
import { refresh } from '../../api/refresh';
import type { Role, Teacher } from '../../api/types';
import { PASSWORD_MIN } from '../../lib/limits';
import { FormDialog } from '../../ui/FormDialog';
import { SecretInput } from '../../ui/SecretInput';
import { teachersQuery } from './queries';

interface Props {
  /** `null` makes a new one. */
  teacher: Teacher | null;
  onClose: () => void;
}

export function TeacherDialog({ teacher, onClose }: Props) {
  const { t } = useTranslation();
  const [fullName, setFullName] = useState(teacher?.full_name ?? '');
  const [email, setEmail] = useState('');
  const [department, setDepartment] = useState(teacher?.department ?? '');
  const [role, setRole] = useState<Role>(teacher?.role ?? 'teacher');
  const [password, setPassword] = useState('');
  const save = useMutation({
    mutationFn: async () => {
      const common = { full_name: fullName.trim(), department: department.trim(), role };
      if (teacher === null) {
        await api.POST('/api/v1/teachers', { body: { ...common, email: email.trim(), password } });
      } else {
        await api.PATCH('/api/v1/teachers/{id}', {
          params: { path: { id: teacher.id } },
          body: common,
        });
      }
      await refresh(teachersQuery);
      onClose();
    },
  });

  return (
    <FormDialog
      isOpen
      title={teacher === null ? t('teachers.add') : teacher.full_name}
      submit={teacher === null ? t('roster.add') : t('ui.save')}
      isBusy={save.isPending}
      error={save.error}
      onSubmit={() => save.mutate()}
      onClose={onClose}
    >
      <TextInput
        label={t('claim.full_name')}
        required
        withAsterisk={false}
        data-autofocus
        value={fullName}
        error={fieldProblem(t, save.error, 'full_name')}
        onChange={(event) => setFullName(event.currentTarget.value)}
      />
      {teacher === null && (
        <>
          <TextInput
            label={t('login.email')}
            type="email"
            required
            withAsterisk={false}
            value={email}
            error={fieldProblem(t, save.error, 'email')}
            onChange={(event) => setEmail(event.currentTarget.value)}
          />
          <SecretInput
            label={t('login.password')}
            description={t('ui.at_least', { count: PASSWORD_MIN })}
            minLength={PASSWORD_MIN}
            autoComplete="new-password"
            value={password}
            error={fieldProblem(t, save.error, 'password')}
            onChange={(event) => setPassword(event.currentTarget.value)}
          />
        </>
      )}
      <TextInput
        label={t('teachers.department')}
        value={department}
        onChange={(event) => setDepartment(event.currentTarget.value)}
      />
      <Switch
        label={t('teachers.make_admin')}
        description={t('teachers.admin_about')}
        checked={role === 'admin'}
        onChange={(event) => setRole(event.currentTarget.checked ? 'admin' : 'teacher')}
      />
    </FormDialog>
  );
}
