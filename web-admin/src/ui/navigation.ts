/** The places one can go to, in the order of how often one goes there. */
import { paths } from '../lib/paths';

export const PLACES = [
  { key: 'home', to: paths.home, isForAdmins: false },
  { key: 'lessons', to: paths.lessons, isForAdmins: false },
  { key: 'recordings', to: paths.recordings, isForAdmins: false },
  { key: 'classes', to: paths.classes, isForAdmins: false },
  { key: 'rooms', to: paths.rooms, isForAdmins: false },
  { key: 'teachers', to: paths.teachers, isForAdmins: true },
  { key: 'settings', to: paths.settings, isForAdmins: false },
  { key: 'health', to: paths.health, isForAdmins: false },
] as const;
