import { NumberInput, Stack, Switch, TextInput } from '@mantine/core';
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
    onSuccess: () => refresh(settingsQuery),
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
      {typeof value === 'number' && <NumberField label={label} value={value} onSave={put} />}
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

/** Saved when it is left or Enter is pressed, so that half a number is never sent. */
function NumberField({ label, value, onSave }: FieldProps<number>) {
  const [typed, setTyped] = useState<string | number>(value);
  // A share of one is set in steps of a twentieth, minutes in whole ones.
  const isShare = !Number.isInteger(value) || value === 0;
  const save = () => typed !== '' && Number(typed) !== value && onSave(Number(typed));
  return (
    <NumberInput
      label={label}
      size="md"
      min={0}
      max={isShare ? 1 : undefined}
      step={isShare ? 0.05 : 1}
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
