import type { TFunction } from 'i18next';

import type { Room } from '../../api/types';

/** How many of a room's machines are on, in words; a room without any is no "0 of 0". */
export function machinesOn(t: TFunction, room: Room): string {
  const { machine_count: count, connected_count: connected } = room;
  return count === 0 ? t('machines.no_machines') : t('machines.on', { count, connected });
}
