/**
 * In the place of a page that could not be read or was never there.
 *
 * A box that restarts, or whose database does not open, may be whole again without anybody at this
 * page: it is asked now and then, and the page comes back by itself. Nothing is loaded anew for
 * that, since what this tab has on air would go with it.
 */
import { Button, Center, Group, Stack, Text, Title } from '@mantine/core';
import { useEffect, useEffectEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation, useNavigate, useRouteError } from 'react-router';

import { queryClient } from '../api/client';
import { ApiProblem, boxDetail, problemText } from '../api/problem';
import { paths } from '../lib/paths';

const ASK_EVERY_MS = 5_000;

export function Lost() {
  const { t } = useTranslation();
  const error = useRouteError();
  const mayPass = error instanceof ApiProblem && (error.isAway || error.status === 503);
  const detail = boxDetail(error);
  useComeBack(mayPass);
  return (
    <Center mih="70vh" p="lg">
      <Stack align="center" maw={480} ta="center">
        <Title order={1}>{error == null ? t('ui.nowhere') : t('ui.lost')}</Title>
        <Text>{error == null ? t('problem.no_such_route') : problemText(t, error)}</Text>
        {detail !== null && (
          <Text size="sm" c="dimmed" lang="en" style={{ overflowWrap: 'anywhere' }}>
            {detail}
          </Text>
        )}
        {mayPass && (
          <Text c="dimmed" role="status">
            {t('ui.tries_itself')}
          </Text>
        )}
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

function useComeBack(isWaiting: boolean): void {
  const navigate = useNavigate();
  const here = useLocation();
  const comeBack = useEffectEvent(() => {
    queryClient.removeQueries({ predicate: (query) => query.state.status === 'error' });
    void navigate(here, { replace: true, state: here.state });
  });
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setInterval(() => {
      void isBoxWell().then((isWell) => isWell && comeBack());
    }, ASK_EVERY_MS);
    return () => clearInterval(timer);
  }, [isWaiting]);
}

function isBoxWell(): Promise<boolean> {
  const signal = AbortSignal.timeout(ASK_EVERY_MS);
  return fetch('/api/v1/state', { cache: 'no-store', signal }).then(
    (answer) => answer.ok,
    () => false,
  );
}
