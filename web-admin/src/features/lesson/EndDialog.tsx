import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { ProblemLine } from '../../ui/ProblemLine';
import type { DeskState } from './useDesk';

interface Props {
  desk: DeskState;
  isOpen: boolean;
  onClose: () => void;
}

export function EndDialog({ desk, isOpen, onClose }: Props) {
  const { t } = useTranslation();
  const { end } = desk.actions;
  return (
    <Modal opened={isOpen} onClose={onClose} title={t('lesson.end_title')}>
      <Stack>
        <Text>{t('lesson.end_what')}</Text>
        <ProblemLine error={end.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t('lesson.end_no')}
          </Button>
          <Button color="air" loading={end.isPending} onClick={() => end.mutate()} data-autofocus>
            {t('lesson.end_yes')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
