import { ActionIcon, Menu } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

export interface RowAction {
  label: string;
  isDangerous?: boolean;
  onPick: () => void;
}

/** What may be done with one row, behind three dots. `subject` tells one row's dots from another's. */
export function RowMenu({ subject, actions }: { subject: string; actions: RowAction[] }) {
  const { t } = useTranslation();
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={t('ui.actions_of', { subject })}>
          <IconDots size={20} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {actions.map(({ label, isDangerous = false, onPick }) => (
          <Menu.Item key={label} color={isDangerous ? 'var(--al-air)' : undefined} onClick={onPick}>
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
