import { Stack, Switch, Text } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import { files } from '../../lib/paths';
import { Card } from '../../ui/Card';
import { Confirm } from '../../ui/Confirm';
import { CopyLine } from '../../ui/CopyLine';
import { ProblemLine } from '../../ui/ProblemLine';
import { openAirQuery } from './queries';

/** Whether a room's lessons go out in the clear. Opening it asks first, shutting it does not. */
export function OpenRoom({ id, name }: { id: string; name: string }) {
  const { t } = useTranslation();
  const { is_open: isOpen } = useSuspenseQuery(openAirQuery(id)).data;
  const [isAsking, setIsAsking] = useState(false);
  const change = $api.useMutation('put', '/api/v1/rooms/{id}/open_air', {
    onSuccess: async () => {
      await refresh(openAirQuery(id));
      setIsAsking(false);
    },
  });
  const set = (open: boolean) =>
    change.mutate({ params: { path: { id } }, body: { is_open: open } });

  return (
    <Card title={t('machines.open_room')}>
      <Stack>
        <Switch
          color="air"
          label={t('machines.open_room_switch')}
          description={t('machines.open_room_about')}
          checked={isOpen}
          disabled={change.isPending}
          onChange={() => (isOpen ? set(false) : setIsAsking(true))}
        />
        {!isAsking && <ProblemLine error={change.error} />}
        {isOpen && (
          <>
            <Text size="sm">{t('machines.open_room_how')}</Text>
            <CopyLine
              value={location.origin + files.openSession(id)}
              label={t('machines.open_room_address')}
            />
          </>
        )}
      </Stack>
      <Confirm
        isOpen={isAsking}
        title={t('machines.open_room_ask', { name })}
        what={t('machines.open_room_what')}
        yes={t('machines.open_room_yes')}
        isBusy={change.isPending}
        error={change.error}
        onYes={() => set(true)}
        onClose={() => setIsAsking(false)}
      />
    </Card>
  );
}
