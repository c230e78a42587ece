import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { ProblemLine } from './ProblemLine';

interface Props {
  isOpen: boolean;
  title: string;
  what: string;
  /** The word on the button that does it. */
  yes: string;
  isBusy: boolean;
  error: unknown;
  onYes: () => void;
  onClose: () => void;
}

/** Asks before what cannot be taken back. */
export function Confirm({ isOpen, title, what, yes, isBusy, error, onYes, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Modal opened={isOpen} onClose={onClose} title={title}>
      <Stack>
        <Text>{what}</Text>
        <ProblemLine error={error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t('ui.cancel')}
          </Button>
          <Button color="air" loading={isBusy} onClick={onYes} data-autofocus>
            {yes}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
