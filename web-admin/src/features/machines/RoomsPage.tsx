import { Button, SimpleGrid, Text } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import { useIsAdmin } from '../../api/session';
import { currentLanguage } from '../../i18n';
import { paths } from '../../lib/paths';
import { byName } from '../../lib/units';
import { Empty } from '../../ui/Card';
import { NameDialog } from '../../ui/NameDialog';
import { Page } from '../../ui/Page';
import { roomTitle } from '../../ui/roomTitle';
import classes from './Machines.module.css';
import { machinesOn } from './machinesOn';
import { roomsQuery } from './queries';

export function RoomsPage() {
  const { t } = useTranslation();
  const { items } = useSuspenseQuery(roomsQuery).data;
  const isAdmin = useIsAdmin();
  const [isAdding, setIsAdding] = useState(false);
  const create = $api.useMutation('post', '/api/v1/rooms', {
    onSuccess: async () => {
      await refresh(roomsQuery);
      setIsAdding(false);
    },
  });

  return (
    <Page
      title={t('machines.rooms')}
      actions={
        isAdmin && (
          <Button
            leftSection={<IconPlus size={18} aria-hidden />}
            onClick={() => setIsAdding(true)}
          >
            {t('machines.add_room')}
          </Button>
        )
      }
    >
      {items.length === 0 && <Empty>{t('machines.no_rooms')}</Empty>}
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }}>
        {items.toSorted(byName(currentLanguage())).map((room) => (
          <Link key={room.id} to={paths.room(room.id)} className={classes.room}>
            <span className={classes.roomName}>{roomTitle(t, room.name)}</span>
            <Text c="dimmed" size="sm">
              {machinesOn(t, room)}
            </Text>
          </Link>
        ))}
      </SimpleGrid>
      {isAdding && (
        <NameDialog
          title={t('machines.add_room')}
          label={t('machines.room_name')}
          submit={t('machines.add')}
          isBusy={create.isPending}
          error={create.error}
          onSubmit={(name) => create.mutate({ body: { name } })}
          onClose={() => setIsAdding(false)}
        />
      )}
    </Page>
  );
}
