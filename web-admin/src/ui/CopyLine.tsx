import { ActionIcon, CopyButton, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import classes from './CopyLine.module.css';

/** One line to be copied whole: a token, a command. Its text can be selected too. */
export function CopyLine({ value, label }: { value: string; label: string }) {
  const { t } = useTranslation();
  return (
    <div className={classes.line}>
      <code className={classes.value} aria-label={label}>
        {value}
      </code>
      <CopyButton value={value}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? t('ui.copied') : t('ui.copy')}>
            <ActionIcon variant="subtle" size="lg" onClick={copy} aria-label={t('ui.copy')}>
              {copied ? <IconCheck size={20} aria-hidden /> : <IconCopy size={20} aria-hidden />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </div>
  );
}
