import { SimpleGrid, Stack } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useIsAdmin } from '../../api/session';
import { Private } from '../../ui/Covered';
import { Fence } from '../../ui/Fence';
import { Page } from '../../ui/Page';
import { BoxSettings } from './BoxSettings';
import { NetworkCard } from './NetworkCard';
import { OwnSettings } from './OwnSettings';
import { SiteSettings } from './SiteSettings';
import { StreamKeyCard } from './StreamKeyCard';

/** A person's own settings first, for everybody; the school's for administrators. */
export function SettingsPage() {
  const { t } = useTranslation();
  const isAdmin = useIsAdmin();
  return (
    <Page title={t('settings.title')}>
      <SimpleGrid cols={{ base: 1, md: 2 }} style={{ alignItems: 'start' }}>
        <Stack>
          <OwnSettings />
          {isAdmin && (
            <Fence>
              <BoxSettings />
            </Fence>
          )}
        </Stack>
        <Stack>
          <Private>
            <Stack>
              <StreamKeyCard />
              {isAdmin && (
                <Fence>
                  <SiteSettings />
                </Fence>
              )}
            </Stack>
          </Private>
          {isAdmin && (
            <Fence>
              <NetworkCard />
            </Fence>
          )}
        </Stack>
      </SimpleGrid>
    </Page>
  );
}
