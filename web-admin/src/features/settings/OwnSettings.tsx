import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { rememberMe, useMe } from '../../api/session';
import { PASSWORD_MIN } from '../../lib/limits';
import { Card } from '../../ui/Card';
import { ProblemLine } from '../../ui/ProblemLine';
import { SecretInput } from '../../ui/SecretInput';

/** One's name and password. The language is in the menu, where it is looked for. */
export function OwnSettings() {
  const { t } = useTranslation();
  return (
    <Card title={t('settings.own')}>
      <Stack gap="xl">
        <NameForm />
        <PasswordForm />
      </Stack>
    </Card>
  );
}

function NameForm() {
  const { t } = useTranslation();
  const me = useMe();
  const [fullName, setFullName] = useState(me.full_name);
  const save = useMutation({
    mutationFn: async () => {
      const { data } = await api.PATCH('/api/v1/me', { body: { full_name: fullName.trim() } });
      if (data !== undefined) rememberMe(data);
    },
    onSuccess: () => notifications.show({ color: 'pine', message: t('ui.saved') }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text c="dimmed">{me.email}</Text>
        <TextInput
          label={t('claim.full_name')}
          autoComplete="name"
          required
          withAsterisk={false}
          value={fullName}
          onChange={(event) => setFullName(event.currentTarget.value)}
        />
        <ProblemLine error={save.error} />
        <Group justify="flex-end">
          <Button type="submit" variant="light" loading={save.isPending}>
            {t('ui.save')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function PasswordForm() {
  const { t } = useTranslation();
  const [former, setFormer] = useState('');
  const [next, setNext] = useState('');
  const save = useMutation({
    mutationFn: async () => {
      await api.PATCH('/api/v1/me', { body: { password: { old: former, new: next } } });
      setFormer('');
      setNext('');
    },
    onSuccess: () => notifications.show({ color: 'pine', message: t('ui.saved') }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <SecretInput
          label={t('settings.password_old')}
          autoComplete="current-password"
          value={former}
          onChange={(event) => setFormer(event.currentTarget.value)}
        />
        <SecretInput
          label={t('settings.password_new')}
          description={t('ui.at_least', { count: PASSWORD_MIN })}
          minLength={PASSWORD_MIN}
          autoComplete="new-password"
          value={next}
          onChange={(event) => setNext(event.currentTarget.value)}
        />
        <ProblemLine error={save.error} />
        <Group justify="flex-end">
          <Button type="submit" variant="light" loading={save.isPending}>
            {t('settings.password_change')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
