/**
 * A site token for the machines of a room: made for a number of machines and a time, shown once,
 * with the very command to run on them.
 */
import { Alert, Button, Group, Modal, NumberInput, Select, Stack, Text } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { Room } from '../../api/types';
import { CopyLine } from '../../ui/CopyLine';
import { Private } from '../../ui/Covered';
import { ProblemLine } from '../../ui/ProblemLine';
import { roomTitle } from '../../ui/roomTitle';
import classes from './Machines.module.css';
import { tokensQuery } from './queries';

const HOUR_SECONDS = 3600;
/** A lesson, a working day, a week: how long a token lies about. */
const LIVES = [1, 10, 24 * 7] as const;

export function AddMachinesDialog({ room, onClose }: { room: Room; onClose: () => void }) {
  const { t } = useTranslation();
  const [uses, setUses] = useState(30);
  const [hours, setHours] = useState<number>(LIVES[1]);
  const make = $api.useMutation('post', '/api/v1/site_tokens', {
    onSuccess: () => refresh(tokensQuery),
  });

  return (
    <Modal
      opened
      onClose={onClose}
      title={t('machines.add_to', { room: roomTitle(t, room.name) })}
      size="lg"
    >
      {make.data === undefined ? (
        <Stack>
          <Text>{t('machines.token_about')}</Text>
          <Group grow align="end">
            <NumberInput
              label={t('machines.token_uses')}
              size="md"
              min={1}
              max={500}
              value={uses}
              onChange={(value) => setUses(Number(value))}
            />
            <Select
              label={t('machines.token_life')}
              data={LIVES.map((life) => ({
                value: String(life),
                label: t('machines.hours', { count: life }),
              }))}
              value={String(hours)}
              onChange={(value) => setHours(Number(value))}
            />
          </Group>
          <ProblemLine error={make.error} />
          <Group justify="flex-end">
            <Button
              leftSection={<IconKey size={18} aria-hidden />}
              loading={make.isPending}
              onClick={() =>
                make.mutate({
                  body: { room_id: room.id, uses, expires_in_seconds: hours * HOUR_SECONDS },
                })
              }
            >
              {t('machines.make_token')}
            </Button>
          </Group>
        </Stack>
      ) : (
        <Private>
          <NewToken token={make.data.token} onClose={onClose} />
        </Private>
      )}
    </Modal>
  );
}

function NewToken({ token, onClose }: { token: string; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Stack>
      <Alert color="amber" variant="light">
        {t('machines.token_once')}
      </Alert>
      <ol className={classes.steps}>
        <li>
          <Text fw={550}>{t('machines.step_install')}</Text>
        </li>
        <li>
          <Text fw={550}>{t('machines.step_enrol')}</Text>
          <CopyLine label={t('machines.command')} value="sudo alfarid-agent enrol" />
        </li>
        <li>
          <Text fw={550}>{t('machines.step_paste')}</Text>
          <CopyLine label={t('machines.token')} value={token} />
        </li>
      </ol>
      <Group justify="flex-end">
        <Button onClick={onClose}>{t('machines.token_done')}</Button>
      </Group>
    </Stack>
  );
}
