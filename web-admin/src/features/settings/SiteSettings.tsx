/** The school's root of trust: what it is, and the file that a second box joins by. */
import { Anchor, Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useSuspenseQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { PASSPHRASE_MIN } from '../../lib/limits';
import { files } from '../../lib/paths';
import { Card } from '../../ui/Card';
import { CopyLine } from '../../ui/CopyLine';
import { ProblemLine } from '../../ui/ProblemLine';
import { SecretInput } from '../../ui/SecretInput';
import { siteQuery } from './queries';

export function SiteSettings() {
  const { t } = useTranslation();
  const site = useSuspenseQuery(siteQuery).data;
  return (
    <Card title={t('settings.site')}>
      <Stack>
        <div>
          <Text size="sm" c="dimmed" mb={4}>
            {t('settings.fingerprint')}
          </Text>
          <CopyLine label={t('settings.fingerprint')} value={site.root_fingerprint} />
        </div>
        <div>
          <Text size="sm" c="dimmed">
            {t('settings.addresses')}
          </Text>
          {site.web_addresses.map((address) => (
            <Anchor key={address} display="block" href={pageAt(address)}>
              {pageAt(address)}
            </Anchor>
          ))}
        </div>
        <Anchor href={files.siteRoot} download>
          {t('settings.root_download')}
        </Anchor>
        <ExportForm />
      </Stack>
    </Card>
  );
}

/** As it is typed: the usual port goes without saying. */
function pageAt(address: string): string {
  return `https://${address.replace(/:443$/, '')}`;
}

function ExportForm() {
  const { t } = useTranslation();
  const [passphrase, setPassphrase] = useState('');
  const save = useMutation({
    mutationFn: async () => {
      const { data } = await api.POST('/api/v1/site/export', {
        body: { passphrase },
        parseAs: 'blob',
      });
      if (data instanceof Blob) saveAs(data, 'alfarid-site.bin');
      setPassphrase('');
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text c="dimmed">{t('settings.export_about')}</Text>
        <SecretInput
          label={t('settings.passphrase')}
          description={t('ui.at_least', { count: PASSPHRASE_MIN })}
          autoComplete="off"
          minLength={PASSPHRASE_MIN}
          value={passphrase}
          onChange={(event) => setPassphrase(event.currentTarget.value)}
        />
        <ProblemLine error={save.error} />
        <Group justify="flex-end">
          <Button type="submit" variant="light" loading={save.isPending}>
            {t('settings.export')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function saveAs(file: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
