import { Alert } from '@mantine/core';
import { IconAlertCircle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { problemText } from '../api/problem';

/** What went wrong, beside the thing that went wrong. Nothing while `error` is null. */
export function ProblemLine({ error }: { error: unknown }) {
  const { t } = useTranslation();
  if (error == null) return null;
  return (
    <Alert color="air" variant="light" icon={<IconAlertCircle />} role="alert">
      {problemText(t, error)}
    </Alert>
  );
}
