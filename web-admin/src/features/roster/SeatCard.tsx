import { Select } from '@mantine/core';
import { type DragEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Machine, Student } from '../../api/types';
import { SEAT_HOLDS } from '../../lib/limits';
import classes from './Seating.module.css';
import { STUDENT_DRAG, StudentChip } from './StudentChip';

interface Props {
  machine: Machine;
  seated: Student[];
  /** Students without a seat, to pick from. */
  waiting: Student[];
  onSeat: (studentId: string) => void;
  onUnseat: (studentId: string) => void;
}

export function SeatCard({ machine, seated, waiting, onSeat, onUnseat }: Props) {
  const { t } = useTranslation();
  const [isOver, setIsOver] = useState(false);
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(false);
    const studentId = event.dataTransfer.getData(STUDENT_DRAG);
    if (studentId !== '') onSeat(studentId);
  };
  return (
    // Dropping is for the mouse; the list inside does the same for everybody.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section
      className={classes.seat}
      aria-label={machine.name}
      data-over={isOver || undefined}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={onDrop}
    >
      <span className={classes.machine}>{machine.name}</span>
      {seated.map((student) => (
        <StudentChip key={student.id} student={student} onUnseat={() => onUnseat(student.id)} />
      ))}
      {seated.length < SEAT_HOLDS && waiting.length > 0 && (
        <Select
          size="xs"
          className={seated.length > 0 ? classes.second : undefined}
          variant="unstyled"
          searchable
          aria-label={t('roster.seat_at', { machine: machine.name })}
          placeholder={seated.length === 0 ? t('roster.pick') : t('roster.pick_second')}
          data={waiting.map(({ id, full_name }) => ({ value: id, label: full_name }))}
          value={null}
          onChange={(studentId) => studentId !== null && onSeat(studentId)}
        />
      )}
    </section>
  );
}
