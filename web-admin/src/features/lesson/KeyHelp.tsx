import { Kbd, Modal, Table } from '@mantine/core';
import { useTranslation } from 'react-i18next';

interface Props {
  isOpen: boolean;
  onClose: () => void;
}

export function KeyHelp({ isOpen, onClose }: Props) {
  const { t } = useTranslation();
  const keys = [
    ['B', t('lesson.keys_blank')],
    ['F', t('lesson.keys_freeze')],
    ['M', t('lesson.keys_mute')],
    ['?', t('lesson.keys_help')],
  ];
  return (
    <Modal opened={isOpen} onClose={onClose} title={t('lesson.keys_title')}>
      <Table>
        <Table.Tbody>
          {keys.map(([key, what]) => (
            <Table.Tr key={key}>
              <Table.Td w={64}>
                <Kbd size="md">{key}</Kbd>
              </Table.Td>
              <Table.Td>{what}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}
