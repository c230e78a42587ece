import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { fieldProblem } from '../../api/problem';
import type { Teacher } from '../../api/types';
import { PASSWORD_MIN } from '../../lib/limits';
import { FormDialog } from '../../ui/FormDialog';
import { SecretInput } from '../../ui/SecretInput';

/** A new password for somebody who has lost theirs. */
export function PasswordDialog({ teacher, onClose }: { teacher: Teacher; onClose: () => void }) {
  const { t } = useTranslation();
  const [password, setPassword] = useState('');
  const save = $api.useMutation('patch', '/api/v1/teachers/{id}', { onSuccess: onClose });
  return (
    <FormDialog
      isOpen
      title={t('teachers.set_password_of', { name: teacher.full_name })}
      submit={t('ui.save')}
      isBusy={save.isPending}
      error={save.error}
      onSubmit={() => save.mutate({ params: { path: { id: teacher.id } }, body: { password } })}
      onClose={onClose}
    >
      <SecretInput
        label={t('settings.password_new')}
        description={t('ui.at_least', { count: PASSWORD_MIN })}
        minLength={PASSWORD_MIN}
        data-autofocus
        autoComplete="new-password"
        value={password}
        error={fieldProblem(t, save.error, 'password')}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
    </FormDialog>
  );
}
