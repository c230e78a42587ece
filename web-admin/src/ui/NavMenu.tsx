import { ActionIcon, Menu } from '@mantine/core';
import { IconMenu2 } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { useIsAdmin } from '../api/session';
import { PLACES } from './navigation';

/** All places behind one button, for where there is no room for a row of them. */
export function NavMenu() {
  const { t } = useTranslation();
  const isAdmin = useIsAdmin();
  return (
    <Menu position="bottom-start" width={220} shadow="md">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t('nav.menu')}>
          <IconMenu2 size={22} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {PLACES.filter((place) => isAdmin || !place.isForAdmins).map(({ key, to }) => (
          <Menu.Item key={key} component={Link} to={to}>
            {t(`nav.${key}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
