import { NumberInput, Stack, Switch, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { Setting } from '../../api/types';
import { Card } from '../../ui/Card';
import { ProblemLine } from '../../ui/ProblemLine';
import { settingLabel } from './labels';
import { settingsQuery } from './queries';

/** The box's own numbers and switches. The field follows from the kind of the value. */
export function BoxSettings() {
  const { t } = useTranslation();
  const { items } = useSuspenseQuery(settingsQuery).data;
  return (
    <Card title={t('settings.lessons')}>
      <Stack>
        {items.map((setting) => (
          <SettingField key={setting.key} setting={setting} />
        ))}
      </Stack>
    </Card>
  );
}

function SettingField({ setting }: { setting: Setting }) {
  const { t } = useTranslation();
  const label = settingLabel(t, setting.key) ?? setting.description ?? setting.key;
  const save = $api.useMutation('put', '/api/v1/settings/{key}', {
    onSuccess: async () => {
      await refresh(settingsQuery);
      notifications.show({ color: 'pine', message: t('ui.saved') });
    },
  });
  const put = (value: unknown) =>
    save.mutate({ params: { path: { key: setting.key } }, body: { value } });
  const { value } = setting;
  return (
    <>
      {typeof value === 'boolean' && (
        <Switch
          label={label}
          checked={value}
          onChange={(event) => put(event.currentTarget.checked)}
        />
      )}
      {typeof value === 'number' && (
        <NumberField
          label={label}
          value={value}
          isShare={setting.key.endsWith('_ratio')}
          onSave={put}
        />
      )}
      {typeof value === 'string' && <TextField label={label} value={value} onSave={put} />}
      <ProblemLine error={save.error} />
    </>
  );
}

interface FieldProps<T> {
  label: string;
  value: T;
  onSave: (value: T) => void;
}

/**
 * Saved when it is left or Enter is pressed, so that half a number is never sent. A share of one is
 * written in percent, as people say it.
 */
function NumberField({ label, value, isShare, onSave }: FieldProps<number> & { isShare: boolean }) {
  const whole = isShare ? 100 : 1;
  const shown = Math.round(value * whole);
  const [typed, setTyped] = useState<string | number>(shown);
  const save = () => typed !== '' && Number(typed) !== shown && onSave(Number(typed) / whole);
  return (
    <NumberInput
      label={label}
      size="md"
      min={0}
      max={isShare ? 100 : undefined}
      step={isShare ? 5 : 1}
      suffix={isShare ? '\u00a0%' : undefined}
      allowDecimal={false}
      value={typed}
      onChange={setTyped}
      onBlur={save}
      onKeyDown={(event) => event.key === 'Enter' && save()}
    />
  );
}

function TextField({ label, value, onSave }: FieldProps<string>) {
  const [typed, setTyped] = useState(value);
  const save = () => typed !== value && onSave(typed);
  return (
    <TextInput
      label={label}
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
      onBlur={save}
      onKeyDown={(event) => event.key === 'Enter' && save()}
    />
  );
}
