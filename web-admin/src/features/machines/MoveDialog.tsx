import { Select } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Machine, Room } from '../../api/types';
import { FormDialog } from '../../ui/FormDialog';

interface Props {
  machine: Machine;
  rooms: Room[];
  isBusy: boolean;
  error: unknown;
  onMove: (roomId: string) => void;
  onClose: () => void;
}

export function MoveDialog({ machine, rooms, isBusy, error, onMove, onClose }: Props) {
  const { t } = useTranslation();
  const [roomId, setRoomId] = useState<string | null>(machine.room_id);
  return (
    <FormDialog
      isOpen
      title={t('machines.move')}
      submit={t('machines.move_yes')}
      isBusy={isBusy}
      error={error}
      onSubmit={() => roomId !== null && onMove(roomId)}
      onClose={onClose}
    >
      <Select
        label={t('machines.room')}
        data={rooms.map(({ id, name }) => ({ value: id, label: name }))}
        value={roomId}
        onChange={setRoomId}
        data-autofocus
      />
    </FormDialog>
  );
}
