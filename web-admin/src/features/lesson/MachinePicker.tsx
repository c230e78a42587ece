/** Which machines of a room a lesson has, when a colleague teaches at the others. */
import { Button, Chip, Group } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Machine } from '../../api/types';
import { byName } from '../../lib/units';
import classes from './HomePage.module.css';

interface Props {
  /** Those that may be chosen. */
  machines: readonly Machine[];
  /** `null`: the whole room. */
  chosen: string[] | null;
  /** Somebody has a lesson at the rest of the room. */
  isPartOnly: boolean;
  onChoose: (chosen: string[] | null) => void;
}

export function MachinePicker({ machines, chosen, isPartOnly, onChoose }: Props) {
  const { t, i18n } = useTranslation();
  if (machines.length < (isPartOnly ? 1 : 2)) return null;
  if (chosen === null) {
    return (
      <Button
        variant="subtle"
        size="compact-md"
        className={classes.some ?? ''}
        onClick={() => onChoose(machines.map(({ id }) => id))}
      >
        {t('home.machines_some')}
      </Button>
    );
  }
  return (
    <div>
      <div className={classes.machines} role="group" aria-label={t('home.machines_pick')}>
        <Chip.Group multiple value={chosen} onChange={onChoose}>
          <Group gap={8}>
            {machines.toSorted(byName(i18n.language)).map(({ id, name }) => (
              <Chip key={id} value={id} radius="md">
                {name}
              </Chip>
            ))}
          </Group>
        </Chip.Group>
      </div>
      <Button
        variant="subtle"
        size="compact-md"
        className={classes.some ?? ''}
        onClick={() => onChoose(null)}
      >
        {t('home.machines_whole')}
      </Button>
    </div>
  );
}
