import { Button, Group, Table, Text, VisuallyHidden } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { Machine, Room } from '../../api/types';
import { formatDateTime } from '../../lib/time';
import { byName } from '../../lib/units';
import { Confirm } from '../../ui/Confirm';
import { Mark, type Tone } from '../../ui/Mark';
import { NameDialog } from '../../ui/NameDialog';
import { ProblemLine } from '../../ui/ProblemLine';
import { RowMenu } from '../../ui/RowMenu';
import { MoveDialog } from './MoveDialog';
import { machinesQuery, roomsQuery } from './queries';

interface Props {
  machines: Machine[];
  rooms: Room[];
  isAdmin: boolean;
}

type Open = { kind: 'rename' | 'move' | 'revoke'; machine: Machine } | null;

export function MachineTable({ machines, rooms, isAdmin }: Props) {
  const { t, i18n } = useTranslation();
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  const update = $api.useMutation('patch', '/api/v1/machines/{id}', {
    onSuccess: async (machine) => {
      await refresh(machinesQuery(machine.room_id), roomsQuery, {
        queryKey: ['get', '/api/v1/machines'],
      });
      close();
    },
  });
  const revoke = $api.useMutation('post', '/api/v1/machines/{id}/revoke', {
    onSuccess: async () => {
      await refresh(roomsQuery, { queryKey: ['get', '/api/v1/machines'] });
      close();
    },
  });
  const of = (machine: Machine) => ({ params: { path: { id: machine.id } } });

  return (
    <>
      {open === null && <ProblemLine error={update.error} />}
      <Table.ScrollContainer minWidth={300}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('machines.name')}</Table.Th>
              <Table.Th>{t('machines.state')}</Table.Th>
              <Table.Th visibleFrom="sm">{t('machines.address')}</Table.Th>
              <Table.Th visibleFrom="md">{t('machines.version')}</Table.Th>
              {isAdmin && (
                <Table.Th w={56}>
                  <VisuallyHidden>{t('ui.actions')}</VisuallyHidden>
                </Table.Th>
              )}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {machines.toSorted(byName(i18n.language)).map((machine) => (
              <Table.Tr key={machine.id}>
                <Table.Td fw={550}>{machine.name}</Table.Td>
                <Table.Td>
                  <Group gap="sm">
                    <MachineMark machine={machine} />
                    {isAdmin && !machine.is_approved && (
                      <Button
                        size="compact-sm"
                        loading={update.isPending}
                        onClick={() =>
                          update.mutate({ ...of(machine), body: { is_approved: true } })
                        }
                      >
                        {t('machines.approve')}
                      </Button>
                    )}
                    {!machine.is_connected && machine.last_seen_at != null && (
                      <Text size="sm" c="dimmed" visibleFrom="sm">
                        {t('machines.last_seen', {
                          at: formatDateTime(i18n.language, machine.last_seen_at),
                        })}
                      </Text>
                    )}
                  </Group>
                </Table.Td>
                <Table.Td c="dimmed" visibleFrom="sm">
                  {machine.address}
                </Table.Td>
                <Table.Td c="dimmed" visibleFrom="md">
                  {machine.agent_version}
                </Table.Td>
                {isAdmin && (
                  <Table.Td>
                    <RowMenu
                      subject={machine.name}
                      actions={[
                        {
                          label: t('machines.rename'),
                          onPick: () => setOpen({ kind: 'rename', machine }),
                        },
                        {
                          label: t('machines.move'),
                          onPick: () => setOpen({ kind: 'move', machine }),
                        },
                        {
                          label: t('machines.revoke'),
                          isDangerous: true,
                          onPick: () => setOpen({ kind: 'revoke', machine }),
                        },
                      ]}
                    />
                  </Table.Td>
                )}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {open?.kind === 'rename' && (
        <NameDialog
          title={t('machines.rename')}
          label={t('machines.name')}
          submit={t('ui.save')}
          initial={open.machine.name}
          isBusy={update.isPending}
          error={update.error}
          onSubmit={(name) => update.mutate({ ...of(open.machine), body: { name } })}
          onClose={close}
        />
      )}
      {open?.kind === 'move' && (
        <MoveDialog
          machine={open.machine}
          rooms={rooms}
          isBusy={update.isPending}
          error={update.error}
          onMove={(room_id) => update.mutate({ ...of(open.machine), body: { room_id } })}
          onClose={close}
        />
      )}
      {open?.kind === 'revoke' && (
        <Confirm
          isOpen
          title={t('machines.revoke')}
          what={t('machines.revoke_what', { name: open.machine.name })}
          yes={t('machines.revoke_yes')}
          isBusy={revoke.isPending}
          error={revoke.error}
          onYes={() => revoke.mutate(of(open.machine))}
          onClose={close}
        />
      )}
    </>
  );
}

function MachineMark({ machine }: { machine: Machine }) {
  const { t } = useTranslation();
  const [tone, key] = machineState(machine);
  return <Mark tone={tone}>{t(`machines.is.${key}`)}</Mark>;
}

type State = 'unapproved' | 'off' | 'in_use' | 'on' | NonNullable<Machine['refused']>;

function machineState(machine: Machine): [Tone, State] {
  if (machine.refused !== null) return ['look', machine.refused];
  if (!machine.is_approved) return ['look', 'unapproved'];
  if (!machine.is_connected) return ['quiet', 'off'];
  return ['good', machine.session_in_use ? 'in_use' : 'on'];
}
