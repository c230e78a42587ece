import { Group } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { Mark } from './Mark';

interface Props {
  lesson: { substitute_for_name: string | null; clock_was_sure: boolean };
}

/** What whoever reads of a lesson must know: somebody stood in, or its times may be wrong. */
export function LessonNotes({ lesson }: Props) {
  const { t } = useTranslation();
  const { substitute_for_name: whom, clock_was_sure: isSure } = lesson;
  if (whom === null && isSure) return null;
  return (
    <Group gap="xs">
      {whom !== null && <Mark tone="frost">{t('ui.substitute_for', { teacher: whom })}</Mark>}
      {!isSure && <Mark tone="look">{t('ui.clock_unsure')}</Mark>}
    </Group>
  );
}
