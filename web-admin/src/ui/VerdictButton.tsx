/**
 * A button that says why it cannot be pressed, instead of hiding or going silent.
 */
import { Button, type ButtonProps, Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';

/** What a rule says of an action; the reason is a sentence for people. */
export type Verdict = { ok: true } | { ok: false; reason: string };

interface Props extends ButtonProps {
  verdict: Verdict;
  onClick: () => void;
  children: ReactNode;
}

export function VerdictButton({ verdict, onClick, children, ...button }: Props) {
  if (verdict.ok) {
    return (
      <Button {...button} onClick={onClick}>
        {children}
      </Button>
    );
  }
  return (
    <Tooltip
      label={verdict.reason}
      multiline
      maw={280}
      events={{ hover: true, focus: true, touch: true }}
    >
      {/* `data-disabled` keeps it focusable, so that the reason reaches the keyboard too. */}
      <Button {...button} data-disabled aria-disabled onClick={(event) => event.preventDefault()}>
        {children}
      </Button>
    </Tooltip>
  );
}
