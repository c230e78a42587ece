import { Button, Center, Group, Stack, Text, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { useRouteError } from 'react-router';

import { problemText } from '../api/problem';
import { paths } from '../lib/paths';

/** In the place of a page that could not be read or was never there. */
export function Lost() {
  const { t } = useTranslation();
  const error = useRouteError();
  return (
    <Center mih="70vh" p="lg">
      <Stack align="center" maw={440} ta="center">
        <Title order={1}>{error == null ? t('ui.nowhere') : t('ui.lost')}</Title>
        <Text c="dimmed">{error == null ? t('problem.no_such_route') : problemText(t, error)}</Text>
        <Group justify="center">
          {/* There is no use in loading what was never there. */}
          {error != null && (
            <Button variant="default" onClick={() => location.reload()}>
              {t('ui.reload')}
            </Button>
          )}
          {/* A whole load, not a route: what failed may be a part of the frame. */}
          <Button component="a" href={paths.home}>
            {t('ui.to_start')}
          </Button>
        </Group>
      </Stack>
    </Center>
  );
}
