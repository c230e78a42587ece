import { useTranslation } from 'react-i18next';

import type { Recording } from '../../api/types';
import { Mark, type Tone } from '../../ui/Mark';

const TONES: Record<Recording['status'], Tone> = {
  starting: 'look',
  recording: 'bad',
  processing: 'look',
  ready: 'good',
  failed: 'bad',
};

export function RecordingMark({ status }: { status: Recording['status'] }) {
  const { t } = useTranslation();
  return <Mark tone={TONES[status]}>{t(`recording.status.${status}`)}</Mark>;
}
