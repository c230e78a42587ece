/**
 * What is printed in the place of the page (`theme.css` hides the rest), and stands nowhere on the
 * screen.
 */
import type { ReactNode } from 'react';
import { createPortal } from 'react-dom';

import classes from './PrintSheet.module.css';

export function PrintSheet({ children }: { children: ReactNode }) {
  return createPortal(
    <div className={classes.sheet} data-print-sheet>
      {children}
    </div>,
    document.body,
  );
}
