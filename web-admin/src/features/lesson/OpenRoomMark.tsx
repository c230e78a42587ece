import { IconAccessPoint } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import classes from './DeskBar.module.css';
import { openAirQuery } from './queries';

/** Says to whoever holds a lesson that it goes out in the clear: an admin has opened the room. */
export function OpenRoomMark({ roomId }: { roomId: string }) {
  const { t } = useTranslation();
  const { data } = useQuery(openAirQuery(roomId));
  if (data?.is_open !== true) return null;
  return (
    <div className={classes.endsItself} role="status">
      <IconAccessPoint size={20} aria-hidden />
      {t('lesson.room_is_open')}
    </div>
  );
}
