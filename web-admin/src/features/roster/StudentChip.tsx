import { CloseButton } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Student } from '../../api/types';
import classes from './Seating.module.css';

/** What a drag carries: the student's id under a type of our own, so that foreign drags do nothing. */
export const STUDENT_DRAG = 'application/x-alfarid-student';

export function StudentChip({ student, onUnseat }: { student: Student; onUnseat?: () => void }) {
  const { t } = useTranslation();
  return (
    <span
      className={classes.chip}
      draggable
      onDragStart={(event) => event.dataTransfer.setData(STUDENT_DRAG, student.id)}
    >
      {student.full_name}
      {onUnseat !== undefined && (
        <CloseButton
          size="xs"
          aria-label={t('roster.unseat', { name: student.full_name })}
          onClick={onUnseat}
        />
      )}
    </span>
  );
}
