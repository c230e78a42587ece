import { TextInput } from '@mantine/core';
import { useState } from 'react';

import { FormDialog } from './FormDialog';

interface Props {
  title: string;
  label: string;
  submit: string;
  initial?: string;
  isBusy: boolean;
  error: unknown;
  onSubmit: (name: string) => void;
  onClose: () => void;
}

/** Asks for a name, new or another. Mounted only while it is open, so it starts fresh each time. */
export function NameDialog({ label, initial = '', onSubmit, ...dialog }: Props) {
  const [name, setName] = useState(initial);
  return (
    <FormDialog {...dialog} isOpen onSubmit={() => onSubmit(name.trim())}>
      <TextInput
        label={label}
        required
        withAsterisk={false}
        data-autofocus
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
    </FormDialog>
  );
}
