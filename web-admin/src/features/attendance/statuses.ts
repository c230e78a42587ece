import type { AttendanceStatus } from '../../api/types';
import type { Tone } from '../../ui/Mark';

/** From the best to the worst, as they are counted and offered. */
export const STATUSES: readonly AttendanceStatus[] = [
  'present',
  'late',
  'left_early',
  'absent',
  'excused',
];

export const TONES: Record<AttendanceStatus, Tone> = {
  present: 'good',
  late: 'look',
  left_early: 'look',
  absent: 'bad',
  excused: 'frost',
};
