import { Button, Center, Stack, Text, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { useRouteError } from 'react-router';

import { problemText } from '../api/problem';

/** In the place of a page that could not be read or was never there. */
export function Lost() {
  const { t } = useTranslation();
  const error = useRouteError();
  return (
    <Center mih="70vh" p="lg">
      <Stack align="center" maw={440} ta="center">
        <Title order={1}>{t('ui.lost')}</Title>
        <Text c="dimmed">{error == null ? t('problem.no_such_route') : problemText(t, error)}</Text>
        <Button onClick={() => location.reload()}>{t('ui.reload')}</Button>
      </Stack>
    </Center>
  );
}
