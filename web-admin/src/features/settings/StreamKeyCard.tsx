import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { Card } from '../../ui/Card';
import { CopyLine } from '../../ui/CopyLine';
import { ProblemLine } from '../../ui/ProblemLine';

/** A key for OBS and GStreamer; it puts a picture into this teacher's own lesson and nowhere else. */
export function StreamKeyCard() {
  const { t } = useTranslation();
  const make = $api.useMutation('post', '/api/v1/me/stream_key');
  const withdraw = $api.useMutation('delete', '/api/v1/me/stream_key', {
    onSuccess: () => make.reset(),
  });
  return (
    <Card title={t('settings.stream_key')}>
      <Stack>
        <Text c="dimmed">{t('settings.stream_key_about')}</Text>
        {make.data !== undefined && (
          <>
            <Alert color="amber" variant="light">
              {t('settings.stream_key_once')}
            </Alert>
            <CopyLine label={t('settings.stream_url')} value={make.data.url} />
            <CopyLine label={t('settings.stream_key')} value={make.data.key} />
          </>
        )}
        <ProblemLine error={make.error ?? withdraw.error} />
        <Group justify="flex-end">
          <Button
            variant="subtle"
            color="air"
            loading={withdraw.isPending}
            onClick={() => withdraw.mutate({})}
          >
            {t('settings.stream_key_withdraw')}
          </Button>
          <Button variant="light" loading={make.isPending} onClick={() => make.mutate({})}>
            {t('settings.stream_key_make')}
          </Button>
        </Group>
      </Stack>
    </Card>
  );
}
