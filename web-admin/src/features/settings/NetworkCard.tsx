/** What a lesson asks of the school's network, reckoned by the box for a room as somebody plans it. */
import { NativeSelect, NumberInput, SimpleGrid, Stack, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { RoomPlan } from '../../api/types';
import { Card } from '../../ui/Card';
import { ProblemLine } from '../../ui/ProblemLine';
import { NetworkVerdict } from './NetworkVerdict';
import { bandwidthQuery } from './queries';

/** More than any room has; the box refuses what is beyond it too. */
const MOST_MACHINES = 500;

const FIRST: RoomPlan = {
  machines: 30,
  on_wifi: 0,
  profile: 'large',
  wire_mbps: 1000,
  wifi: 'wifi5',
};

const WIRES = [100, 1000, 2500, 10_000];

export function NetworkCard() {
  const { t } = useTranslation();
  const [plan, setPlan] = useState(FIRST);
  const { data, error } = useQuery({ ...bandwidthQuery(plan), placeholderData: keepPreviousData });
  const change = (part: Partial<RoomPlan>) => {
    const changed = { ...plan, ...part };
    setPlan({ ...changed, on_wifi: Math.min(changed.on_wifi, changed.machines) });
  };
  return (
    <Card title={t('network.title')}>
      <Stack>
        <Text c="dimmed">{t('network.about')}</Text>
        <SimpleGrid cols={{ base: 1, xs: 2 }} style={{ alignItems: 'end' }}>
          <Count
            label={t('network.machines')}
            least={1}
            most={MOST_MACHINES}
            value={plan.machines}
            onChange={(machines) => change({ machines })}
          />
          <Count
            // No more of them than there are machines.
            key={plan.machines}
            label={t('network.on_wifi')}
            least={0}
            most={plan.machines}
            value={plan.on_wifi}
            onChange={(on_wifi) => change({ on_wifi })}
          />
          <Choice
            label={t('lesson.quality')}
            value={plan.profile}
            words={{
              small: t('lesson.quality_small'),
              medium: t('lesson.quality_medium'),
              large: t('lesson.quality_large'),
            }}
            onChange={(profile) => change({ profile })}
          />
          <NativeSelect
            label={t('network.wire')}
            size="md"
            value={plan.wire_mbps}
            data={WIRES.map((mbps) => ({
              value: String(mbps),
              label: t('network.mbps', { mbps }),
            }))}
            onChange={(event) => change({ wire_mbps: Number(event.currentTarget.value) })}
          />
          {plan.on_wifi > 0 && (
            <Choice
              label={t('network.access_point')}
              value={plan.wifi}
              words={{
                wifi4: t('network.wifi4'),
                wifi5: t('network.wifi5'),
                wifi6: t('network.wifi6'),
              }}
              onChange={(wifi) => change({ wifi })}
            />
          )}
        </SimpleGrid>
        <ProblemLine error={error} />
        {data !== undefined && error === null && <NetworkVerdict bandwidth={data} />}
      </Stack>
    </Card>
  );
}

interface CountProps {
  label: string;
  least: number;
  most: number;
  value: number;
  onChange: (value: number) => void;
}

/** A whole number; while it is none (half typed, empty), the last one holds. */
function Count({ label, least, most, value, onChange }: CountProps) {
  const [typed, setTyped] = useState<string | number>(value);
  const take = (next: string | number) => {
    setTyped(next);
    if (typeof next === 'number' && next >= least) onChange(next);
  };
  return (
    <NumberInput
      label={label}
      size="md"
      min={least}
      max={most}
      clampBehavior="strict"
      allowDecimal={false}
      allowNegative={false}
      value={typed}
      onChange={take}
      onBlur={() => setTyped(value)}
    />
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  words: Record<T, string>;
  onChange: (value: T) => void;
}

function Choice<T extends string>({ label, value, words, onChange }: ChoiceProps<T>) {
  const known = Object.entries<string>(words);
  return (
    <NativeSelect
      label={label}
      size="md"
      value={value}
      data={known.map(([key, word]) => ({ value: key, label: word }))}
      onChange={({ currentTarget: { value: key } }) => isOneOf(words, key) && onChange(key)}
    />
  );
}

function isOneOf<T extends string>(words: Record<T, string>, key: string): key is T {
  return Object.hasOwn(words, key);
}
