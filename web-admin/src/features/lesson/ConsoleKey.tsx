import { Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';

import type { Verdict } from '../../ui/VerdictButton';
import classes from './Console.module.css';

interface Props {
  icon: ReactNode;
  label: string;
  /** The letter that does the same. */
  letter?: string;
  /** A switch says whether it is on; a plain key says nothing. */
  isOn?: boolean;
  tone?: 'blank' | 'frost' | 'mute';
  verdict: Verdict;
  onPress: () => void;
  children?: ReactNode;
}

export function ConsoleKey({ icon, label, letter, isOn, tone, verdict, onPress, children }: Props) {
  const key = (
    <button
      type="button"
      className={classes.key}
      data-tone={tone}
      aria-pressed={isOn}
      aria-disabled={!verdict.ok || undefined}
      aria-label={label}
      aria-keyshortcuts={letter}
      onClick={() => verdict.ok && onPress()}
    >
      <span className={classes.face}>
        {icon}
        <span className={classes.label}>{label}</span>
        {letter !== undefined && (
          <kbd className={classes.letter} aria-hidden>
            {letter}
          </kbd>
        )}
      </span>
      {children}
    </button>
  );
  if (verdict.ok) return key;
  return (
    <Tooltip
      label={verdict.reason}
      multiline
      maw={280}
      events={{ hover: true, focus: true, touch: true }}
    >
      {key}
    </Tooltip>
  );
}
