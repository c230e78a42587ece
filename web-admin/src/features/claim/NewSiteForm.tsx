import { Button, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { fieldProblem } from '../../api/problem';
import { enterAs } from '../../api/session';
import { currentLanguage } from '../../i18n';
import { ProblemLine } from '../../ui/ProblemLine';
import { CodeField, NOBODY, OwnerFields, ownerBody } from './OwnerFields';

/** The school's first box: its root of trust is made now. */
export function NewSiteForm() {
  const { t } = useTranslation();
  const [owner, setOwner] = useState(NOBODY);
  const [siteName, setSiteName] = useState('');
  const claim = useMutation({
    mutationFn: async () => {
      const body = { ...ownerBody(owner, currentLanguage()), site_name: siteName.trim() };
      const { data } = await api.POST('/api/v1/claim', { body });
      if (data !== undefined) await enterAs(data);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    claim.mutate();
  };

  return (
    <form onSubmit={submit}>
      <Stack>
        <CodeField owner={owner} error={claim.error} onChange={setOwner} />
        <TextInput
          label={t('claim.site_name')}
          autoComplete="organization"
          required
          withAsterisk={false}
          value={siteName}
          error={fieldProblem(t, claim.error, 'site_name')}
          onChange={(event) => setSiteName(event.currentTarget.value)}
        />
        <OwnerFields owner={owner} error={claim.error} onChange={setOwner} />
        <ProblemLine error={claim.error} />
        <Button type="submit" size="md" loading={claim.isPending}>
          {t('claim.submit')}
        </Button>
      </Stack>
    </form>
  );
}
