import { Group, Title } from '@mantine/core';
import type { ReactNode } from 'react';

import classes from './Card.module.css';

interface Props {
  title?: string;
  actions?: ReactNode;
  children: ReactNode;
  /** A table runs from edge to edge; everything else keeps its distance. */
  isFlush?: boolean;
}

/** A sheet with one subject on it. */
export function Card({ title, actions, children, isFlush = false }: Props) {
  return (
    <section className={classes.card} data-flush={isFlush || undefined} aria-label={title}>
      {title !== undefined && (
        <Group className={classes.head} justify="space-between" gap="sm">
          <Title order={2} size="h3">
            {title}
          </Title>
          {actions}
        </Group>
      )}
      {children}
    </section>
  );
}

interface EmptyProps {
  /** What there will be, as a picture. */
  icon?: ReactNode;
  /** The first step, where it is one press away. */
  action?: ReactNode;
  children: ReactNode;
}

/** Said in the place of an empty list, with what to do about it. */
export function Empty({ icon, action, children }: EmptyProps) {
  return (
    <div className={classes.empty}>
      {icon !== undefined && <span className={classes.icon}>{icon}</span>}
      <span>{children}</span>
      {action}
    </div>
  );
}
