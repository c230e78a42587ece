/**
 * The first page a box ever shows: who owns it, in one screen.
 *
 * The code on the box's own console proves that the person stands in front of it; there is no
 * default password to fall back on. The second tab is for a school's second box.
 */
import { Tabs } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Doorstep } from '../../ui/Doorstep';
import { JoinForm } from './JoinForm';
import { NewSiteForm } from './NewSiteForm';

export function ClaimPage() {
  const { t } = useTranslation();
  const [tab, setTab] = useState<string | null>('new');
  return (
    <Doorstep title={t('claim.title')} lead={t('claim.lead')}>
      <Tabs value={tab} onChange={setTab} keepMounted={false}>
        <Tabs.List grow mb="lg">
          <Tabs.Tab value="new">{t('claim.tab_new')}</Tabs.Tab>
          <Tabs.Tab value="join">{t('claim.tab_join')}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="new">
          <NewSiteForm />
        </Tabs.Panel>
        <Tabs.Panel value="join">
          <JoinForm />
        </Tabs.Panel>
      </Tabs>
    </Doorstep>
  );
}
