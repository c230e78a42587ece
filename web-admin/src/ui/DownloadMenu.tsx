import { Button, Menu } from '@mantine/core';
import { IconDownload, IconFileSpreadsheet, IconFileText } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

interface Props {
  /** Where a table is as one kind of file. */
  href: (kind: 'csv' | 'xlsx') => string;
  size?: string;
}

/** A table to take away: as a sheet, which most people want, or as plain text. */
export function DownloadMenu({ href, size }: Props) {
  const { t } = useTranslation();
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <Button variant="subtle" size={size} leftSection={<IconDownload size={18} aria-hidden />}>
          {t('ui.download')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item
          component="a"
          download
          href={href('xlsx')}
          leftSection={<IconFileSpreadsheet size={18} aria-hidden />}
        >
          {t('ui.xlsx')}
        </Menu.Item>
        <Menu.Item
          component="a"
          download
          href={href('csv')}
          leftSection={<IconFileText size={18} aria-hidden />}
        >
          {t('ui.csv')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
