import type { TFunction } from 'i18next';

/** Many rooms are called by a bare number: "204" alone beside a class's name says nothing. */
export function roomTitle(t: TFunction, name: string): string {
  return /^\d+\p{L}?$/u.test(name) ? t('ui.room_number', { name }) : name;
}
