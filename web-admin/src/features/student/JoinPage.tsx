/** The students' door: a code from a slip of paper, and nothing else to fill in. */
import { Anchor, Button, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { FormEvent } from 'react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { api } from '../../api/client';
import { enterAsStudent } from '../../api/session';
import { paths } from '../../lib/paths';
import { Doorstep } from '../../ui/Doorstep';
import { ProblemLine } from '../../ui/ProblemLine';

export function JoinPage() {
  const { t } = useTranslation();
  const [code, setCode] = useState('');
  const join = useMutation({
    mutationFn: async () => {
      const { data } = await api.POST('/api/v1/session/student', { body: { code } });
      if (data !== undefined) await enterAsStudent(data);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    join.mutate();
  };

  return (
    <Doorstep title={t('join.title')} lead={t('join.lead')}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label={t('join.code')}
            name="code"
            size="lg"
            autoComplete="off"
            autoCapitalize="characters"
            autoCorrect="off"
            spellCheck={false}
            required
            withAsterisk={false}
            autoFocus
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
          />
          <ProblemLine error={join.error} />
          <Button type="submit" size="md" loading={join.isPending}>
            {t('join.submit')}
          </Button>
          <Anchor component={Link} to={paths.login} size="sm" ta="center">
            {t('join.teacher')}
          </Anchor>
        </Stack>
      </form>
    </Doorstep>
  );
}
