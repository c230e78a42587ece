/** The fields that both ways of claiming share: the code, and the first admin. */
import { TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { fieldProblem } from '../../api/problem';
import type { Language } from '../../api/types';
import { PASSWORD_MIN } from '../../lib/limits';
import { SecretInput } from '../../ui/SecretInput';

export interface Owner {
  code: string;
  full_name: string;
  email: string;
  password: string;
}

export const NOBODY: Owner = { code: '', full_name: '', email: '', password: '' };

interface Props {
  owner: Owner;
  error: unknown;
  onChange: (owner: Owner) => void;
}

export function CodeField({ owner, error, onChange }: Props) {
  const { t } = useTranslation();
  return (
    <TextInput
      label={t('claim.code')}
      description={t('claim.code_where')}
      autoComplete="one-time-code"
      autoFocus
      required
      withAsterisk={false}
      value={owner.code}
      error={fieldProblem(t, error, 'code')}
      onChange={(event) => onChange({ ...owner, code: event.currentTarget.value })}
    />
  );
}

export function OwnerFields({ owner, error, onChange }: Props) {
  const { t } = useTranslation();
  return (
    <>
      <TextInput
        label={t('claim.full_name')}
        autoComplete="name"
        required
        withAsterisk={false}
        value={owner.full_name}
        error={fieldProblem(t, error, 'full_name')}
        onChange={(event) => onChange({ ...owner, full_name: event.currentTarget.value })}
      />
      <TextInput
        label={t('login.email')}
        type="email"
        autoComplete="username"
        required
        withAsterisk={false}
        value={owner.email}
        error={fieldProblem(t, error, 'email')}
        onChange={(event) => onChange({ ...owner, email: event.currentTarget.value })}
      />
      <SecretInput
        label={t('login.password')}
        description={t('ui.at_least', { count: PASSWORD_MIN })}
        minLength={PASSWORD_MIN}
        autoComplete="new-password"
        value={owner.password}
        error={fieldProblem(t, error, 'password')}
        onChange={(event) => onChange({ ...owner, password: event.currentTarget.value })}
      />
    </>
  );
}

/** What the box also wants to know; the browser brings the time to a box that has lost it. */
export function ownerBody(owner: Owner, language: Language) {
  return {
    ...owner,
    code: owner.code.trim(),
    email: owner.email.trim(),
    language,
    browser_time: Date.now(),
  };
}
