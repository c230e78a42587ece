import { Anchor, Button, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { FormEvent } from 'react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { api } from '../../api/client';
import { enterAs, useBoxState } from '../../api/session';
import { paths } from '../../lib/paths';
import { Doorstep } from '../../ui/Doorstep';
import { ProblemLine } from '../../ui/ProblemLine';
import { SecretInput } from '../../ui/SecretInput';

export function LoginPage() {
  const { t } = useTranslation();
  const state = useBoxState();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const logIn = useMutation({
    mutationFn: async () => {
      // The box may have no clock of its own: a person who logs in brings the time.
      const body = { email: email.trim(), password, browser_time: Date.now() };
      const { data } = await api.POST('/api/v1/session', { body });
      if (data !== undefined) await enterAs(data);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    logIn.mutate();
  };

  return (
    <Doorstep title={state.site_name ?? t('login.title')} lead={t('login.lead')}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label={t('login.email')}
            type="email"
            name="email"
            autoComplete="username"
            required
            withAsterisk={false}
            autoFocus
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
          />
          <SecretInput
            label={t('login.password')}
            name="password"
            autoComplete="current-password"
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
          />
          <ProblemLine error={logIn.error} />
          <Button type="submit" size="md" loading={logIn.isPending}>
            {t('login.submit')}
          </Button>
          <Anchor component={Link} to={paths.join} size="sm" ta="center">
            {t('login.student')}
          </Anchor>
        </Stack>
      </form>
    </Doorstep>
  );
}
