import type { ReactNode } from 'react';

import classes from './Mark.module.css';

export type Tone = 'good' | 'quiet' | 'look' | 'bad' | 'frost';

/** A state in one or two words, with the colour that goes with it. */
export function Mark({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={classes.mark} data-tone={tone}>
      {children}
    </span>
  );
}
