/** The frame of the pages before the doors and of a student's own: the mark, one card, the language. */
import { SegmentedControl } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { currentLanguage, speak } from '../i18n';
import { Brand } from './Brand';
import classes from './Doorstep.module.css';

interface Props {
  title: string;
  lead: string;
  children: ReactNode;
}

export function Doorstep({ title, lead, children }: Props) {
  const { t } = useTranslation();
  return (
    <div className={classes.page}>
      <header className={classes.top}>
        <Brand name="Alfarid" />
        <SegmentedControl
          aria-label={t('ui.language')}
          value={currentLanguage()}
          onChange={(value) => speak(value === 'ru' ? 'ru' : 'en')}
          data={[
            { value: 'ru', label: 'Русский' },
            { value: 'en', label: 'English' },
          ]}
        />
      </header>
      <main className={classes.main}>
        <div className={classes.words}>
          <h1 className={classes.title}>{title}</h1>
          <p className={classes.lead}>{lead}</p>
        </div>
        <div className={classes.card}>{children}</div>
      </main>
    </div>
  );
}
