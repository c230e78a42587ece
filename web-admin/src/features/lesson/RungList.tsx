/** Which machines get the picture each on its own, why, and what that costs all of them. */
import { useTranslation } from 'react-i18next';

import type { MachineStream, StreamState } from '../../api/types';
import classes from './Cards.module.css';
import { alone } from './machineWords';

export function RungList({ stream }: { stream: StreamState }) {
  const { t } = useTranslation();
  const machines = alone(stream.machines);
  if (machines.length === 0) return null;
  const { is_lowered, is_over } = stream.egress ?? {};
  return (
    <div>
      <p className={classes.summary}>{t('lesson.rungs', { count: machines.length })}</p>
      <ul className={classes.machines} aria-label={t('lesson.rungs', { count: machines.length })}>
        {machines.map((machine) => (
          <RungLine key={machine.machine_id} machine={machine} />
        ))}
      </ul>
      {is_lowered && <p className={classes.summary}>{t('lesson.egress_lowered')}</p>}
      {is_over && <p className={classes.summary}>{t('lesson.egress_over')}</p>}
    </div>
  );
}

function RungLine({ machine }: { machine: MachineStream }) {
  const { t } = useTranslation();
  const { name, rung, rung_cause } = machine;
  if (rung == null) return null;
  const way = t(`lesson.rung.${rung}`);
  return (
    <li className={classes.machine} data-state={machine.state}>
      {rung_cause == null
        ? t('lesson.rung_line', { name, way })
        : t('lesson.rung_line_why', { name, way, cause: t(`lesson.rung_cause.${rung_cause}`) })}
    </li>
  );
}
