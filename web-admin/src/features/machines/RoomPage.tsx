import { Button } from '@mantine/core';
import { IconDeviceDesktopPlus, IconPlus } from '@tabler/icons-react';
import { useSuspenseQueries } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate, useParams } from 'react-router';

import { $api } from '../../api/client';
import { ApiProblem } from '../../api/problem';
import { refresh } from '../../api/refresh';
import { useIsAdmin } from '../../api/session';
import { paths } from '../../lib/paths';
import { Card, Empty } from '../../ui/Card';
import { Confirm } from '../../ui/Confirm';
import { Private } from '../../ui/Covered';
import { Fence } from '../../ui/Fence';
import { NameDialog } from '../../ui/NameDialog';
import { Page } from '../../ui/Page';
import { roomTitle } from '../../ui/roomTitle';
import { RowMenu } from '../../ui/RowMenu';
import { AddMachinesDialog } from './AddMachinesDialog';
import { machinesOn } from './machinesOn';
import { MachineTable } from './MachineTable';
import { OpenRoom } from './OpenRoom';
import { machinesQuery, roomsQuery } from './queries';
import { TokenList } from './TokenList';

/** A room: its machines, and how more of them get in. */
export function RoomPage() {
  const { t } = useTranslation();
  const { id = '' } = useParams();
  const isAdmin = useIsAdmin();
  const [rooms, machines] = useSuspenseQueries({ queries: [roomsQuery, machinesQuery(id)] });
  const room = rooms.data.items.find((candidate) => candidate.id === id);
  const [isAdding, setIsAdding] = useState(false);
  if (room === undefined) throw new ApiProblem(404, 'room_unknown', {});

  return (
    <Page
      title={roomTitle(t, room.name)}
      lead={machinesOn(t, room)}
      actions={
        isAdmin && (
          <>
            <Button
              leftSection={<IconPlus size={18} aria-hidden />}
              onClick={() => setIsAdding(true)}
            >
              {t('machines.add_machines')}
            </Button>
            <RoomMenu id={id} name={room.name} />
          </>
        )
      }
    >
      <Card isFlush>
        {machines.data.items.length === 0 ? (
          <Empty
            icon={<IconDeviceDesktopPlus size={30} stroke={1.5} aria-hidden />}
            action={
              isAdmin && (
                <Button variant="light" onClick={() => setIsAdding(true)}>
                  {t('machines.add_first')}
                </Button>
              )
            }
          >
            {t('machines.none')}
          </Empty>
        ) : (
          <MachineTable machines={machines.data.items} rooms={rooms.data.items} isAdmin={isAdmin} />
        )}
      </Card>
      {isAdmin && (
        <Private>
          <Fence>
            <TokenList roomId={id} />
          </Fence>
        </Private>
      )}
      {isAdmin && (
        <Fence>
          <OpenRoom id={id} name={roomTitle(t, room.name)} />
        </Fence>
      )}
      {isAdding && <AddMachinesDialog room={room} onClose={() => setIsAdding(false)} />}
    </Page>
  );
}

function RoomMenu({ id, name }: { id: string; name: string }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<'rename' | 'remove' | null>(null);
  const close = () => setDialog(null);
  const of = { params: { path: { id } } };
  const rename = $api.useMutation('patch', '/api/v1/rooms/{id}', {
    onSuccess: async () => {
      await refresh(roomsQuery);
      close();
    },
  });
  const remove = $api.useMutation('delete', '/api/v1/rooms/{id}', {
    onSuccess: async () => {
      await navigate(paths.rooms);
      await refresh(roomsQuery);
    },
  });
  return (
    <>
      <RowMenu
        subject={name}
        actions={[
          { label: t('machines.rename_room'), onPick: () => setDialog('rename') },
          {
            label: t('machines.remove_room'),
            isDangerous: true,
            onPick: () => setDialog('remove'),
          },
        ]}
      />
      {dialog === 'rename' && (
        <NameDialog
          title={t('machines.rename_room')}
          label={t('machines.room_name')}
          submit={t('ui.save')}
          initial={name}
          isBusy={rename.isPending}
          error={rename.error}
          onSubmit={(next) => rename.mutate({ ...of, body: { name: next } })}
          onClose={close}
        />
      )}
      <Confirm
        isOpen={dialog === 'remove'}
        title={t('machines.remove_room')}
        what={t('machines.remove_room_what', { name })}
        yes={t('ui.remove')}
        isBusy={remove.isPending}
        error={remove.error}
        onYes={() => remove.mutate(of)}
        onClose={close}
      />
    </>
  );
}
