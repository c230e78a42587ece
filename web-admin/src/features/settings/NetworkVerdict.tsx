/** What the box reckoned, as a table and in plain words. */
import { IconAlertTriangle, IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Bandwidth, LinkVerdict } from '../../api/types';
import { formatPercent, megabits } from '../../lib/units';
import classes from './NetworkVerdict.module.css';

interface Props {
  bandwidth: Bandwidth;
}

export function NetworkVerdict({ bandwidth }: Props) {
  const { t, i18n } = useTranslation();
  const mbps = (bps: number) => t('network.mbps', { mbps: megabits(i18n.language, bps) });
  const whole = (bps: number) => t('network.mbps', { mbps: Math.round(bps / 1_000_000) });
  const share = ({ load_bps, carries_bps }: { load_bps: number; carries_bps: number }) =>
    formatPercent(i18n.language, Math.round((load_bps / carries_bps) * 100) / 100);
  const { budget, costs, machines_alone: alone, wire, wifi } = bandwidth;
  return (
    <div className={classes.verdict}>
      <CostTable bandwidth={bandwidth} />
      <ul className={classes.words} aria-live="polite">
        <Line verdict={wire.verdict}>
          {t(`network.wire_${wire.verdict}`, {
            link: wire.carries_bps / 1_000_000,
            share: share(wire),
          })}
        </Line>
        {wifi !== null && (
          <Line verdict={wifi.verdict}>
            {t(`network.wifi_${wifi.verdict}`, {
              link: whole(wifi.carries_bps),
              share: share(wifi),
            })}
          </Line>
        )}
        {alone > 0 && (
          <Line verdict={BUDGET[budget.verdict]}>
            {t(`network.budget_${budget.verdict}`, { allowed: whole(budget.allowed_bps) })}
          </Line>
        )}
      </ul>
      <p className={classes.about}>
        {t('network.picture', {
          mbps: mbps(bandwidth.max_bitrate_bps),
          fps: bandwidth.max_fps,
          kbps: bandwidth.max_audio_bitrate_bps / 1000,
        })}{' '}
        {bandwidth.machines_by_multicast > 0 &&
          t('network.without', { mbps: mbps(costs[0]?.without_multicast_bps ?? 0) })}
      </p>
    </div>
  );
}

function CostTable({ bandwidth }: { bandwidth: Bandwidth }) {
  const { t, i18n } = useTranslation();
  const { costs, machines_alone: alone, machines_by_multicast: together } = bandwidth;
  const mbps = (bps: number) => megabits(i18n.language, bps);
  return (
    <table className={classes.costs} aria-label={t('network.title')}>
      <thead>
        <tr>
          <th scope="col">{t('network.sends')}</th>
          {costs.map(({ loss_percent: percent }) => (
            <th key={percent} scope="col">
              {percent === 0 ? t('network.calm') : t('network.lossy', { percent })}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        <tr>
          <th scope="row">{t('network.together', { count: together })}</th>
          {costs.map((cost) => (
            <td key={cost.loss_percent}>{mbps(cost.multicast_bps)}</td>
          ))}
        </tr>
        <tr>
          <th scope="row">{t('network.alone', { count: alone })}</th>
          {costs.map((cost) => (
            <td key={cost.loss_percent}>{mbps(cost.unicast_bps)}</td>
          ))}
        </tr>
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">{t('network.total')}</th>
          {costs.map((cost) => (
            <td key={cost.loss_percent}>{mbps(cost.total_bps)}</td>
          ))}
        </tr>
      </tfoot>
    </table>
  );
}

/** A picture that is made smaller works, and somebody should know. */
const BUDGET = { carries: 'carries', lowers: 'tight', too_small: 'too_small' } as const;

const ICONS = {
  carries: IconCircleCheck,
  tight: IconAlertTriangle,
  too_small: IconCircleX,
};

function Line({ verdict, children }: { verdict: LinkVerdict; children: ReactNode }) {
  const Icon = ICONS[verdict];
  return (
    <li className={classes.line} data-verdict={verdict}>
      <Icon size={20} aria-hidden />
      <span>{children}</span>
    </li>
  );
}
