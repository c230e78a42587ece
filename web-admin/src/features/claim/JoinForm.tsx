import { Button, FileInput, Stack } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { fieldProblem } from '../../api/problem';
import { enterAs } from '../../api/session';
import { currentLanguage } from '../../i18n';
import { ProblemLine } from '../../ui/ProblemLine';
import { SecretInput } from '../../ui/SecretInput';
import { CodeField, NOBODY, OwnerFields, ownerBody } from './OwnerFields';

/** Another box of a school that has one: machines that know the school's root will trust it. */
export function JoinForm() {
  const { t } = useTranslation();
  const [owner, setOwner] = useState(NOBODY);
  const [file, setFile] = useState<File | null>(null);
  const [passphrase, setPassphrase] = useState('');
  const join = useMutation({
    mutationFn: async (siteFile: File) => {
      const body = {
        ...ownerBody(owner, currentLanguage()),
        site_file: await base64(siteFile),
        passphrase,
      };
      const { data } = await api.POST('/api/v1/claim/join', { body });
      if (data !== undefined) await enterAs(data);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (file !== null) join.mutate(file);
  };

  return (
    <form onSubmit={submit}>
      <Stack>
        <CodeField owner={owner} error={join.error} onChange={setOwner} />
        <FileInput
          label={t('claim.site_file')}
          description={t('claim.site_file_where')}
          placeholder="alfarid-site.bin"
          size="md"
          required
          withAsterisk={false}
          value={file}
          error={fieldProblem(t, join.error, 'site_file')}
          onChange={setFile}
        />
        <SecretInput
          label={t('claim.passphrase')}
          autoComplete="off"
          value={passphrase}
          error={fieldProblem(t, join.error, 'passphrase')}
          onChange={(event) => setPassphrase(event.currentTarget.value)}
        />
        <OwnerFields owner={owner} error={join.error} onChange={setOwner} />
        <ProblemLine error={join.error} />
        <Button type="submit" size="md" loading={join.isPending}>
          {t('claim.submit_join')}
        </Button>
      </Stack>
    </form>
  );
}

async function base64(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  // The file is a few kilobytes: one string at a time is no burden.
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}
