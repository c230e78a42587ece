import { Progress, SimpleGrid, Stack, Text } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { knownFault } from '../../api/problem';
import type { Disk } from '../../api/types';
import { formatDateTime } from '../../lib/time';
import { formatBytes } from '../../lib/units';
import { Card } from '../../ui/Card';
import { Page } from '../../ui/Page';
import classes from './HealthPage.module.css';

const HEALTH_EVERY_MS = 30_000;

/** What is broken, and how full the box is. Faults come by the live link; the disk is looked at. */
export function HealthPage() {
  const { t, i18n } = useTranslation();
  const health = useSuspenseQuery({
    ...$api.queryOptions('get', '/api/v1/health'),
    refetchInterval: HEALTH_EVERY_MS,
  }).data;
  const { disk } = health;
  const hours = Math.floor(health.uptime_seconds / 3600);

  return (
    <Page title={t('health.title')}>
      <Card>
        {health.faults.length === 0 ? (
          <div className={classes.fault} data-severity="none">
            <IconCircleCheck size={26} aria-hidden />
            <Text fw={550}>{t('health.fine')}</Text>
          </div>
        ) : (
          <Stack gap="md">
            {health.faults.map((fault) => (
              <div key={fault.code} className={classes.fault} data-severity={fault.severity}>
                <IconAlertTriangle size={26} aria-hidden />
                <div>
                  <Text fw={550}>{knownFault(t, fault.code) ?? fault.detail}</Text>
                  <Text size="sm" c="dimmed">
                    {t('health.since', { at: formatDateTime(i18n.language, fault.since_at) })}
                  </Text>
                </div>
              </div>
            ))}
          </Stack>
        )}
      </Card>
      <SimpleGrid cols={{ base: 1, sm: 3 }}>
        <Card title={t('health.disk')}>
          {disk == null ? <Fact>{t('health.disk_silent')}</Fact> : <DiskUse disk={disk} />}
        </Card>
        <Card title={t('health.clock')}>
          <Fact>{formatDateTime(i18n.language, health.clock.now)}</Fact>
          <Text size="sm" c="dimmed">
            {health.clock.sure ? t('health.clock_sure') : t('health.clock_unsure')}
          </Text>
        </Card>
        <Card title={t('health.version')}>
          <Fact>{health.version}</Fact>
          <Text size="sm" c="dimmed">
            {hours === 0 ? t('health.up_short') : t('health.up', { count: hours })}
          </Text>
        </Card>
      </SimpleGrid>
    </Page>
  );
}

function DiskUse({ disk }: { disk: Disk }) {
  const { t, i18n } = useTranslation();
  const free = formatBytes(i18n.language, disk.free_bytes);
  const total = formatBytes(i18n.language, disk.total_bytes);
  const usedPercent = (1 - disk.free_bytes / Math.max(1, disk.total_bytes)) * 100;
  return (
    <>
      <Fact>{t('health.free', { free, total })}</Fact>
      <Progress
        mt="sm"
        aria-label={t('health.disk')}
        value={usedPercent}
        color={usedPercent > 90 ? 'air' : 'pine'}
      />
    </>
  );
}

function Fact({ children }: { children: ReactNode }) {
  return (
    <Text fz="lg" fw={550}>
      {children}
    </Text>
  );
}
