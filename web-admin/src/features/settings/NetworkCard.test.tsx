import { fireEvent, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { queryClient } from '../../api/client';
import type { Bandwidth, RoomPlan } from '../../api/types';
import { renderPart } from '../../test.render';
import { NetworkCard } from './NetworkCard';
import { bandwidthQuery } from './queries';

/** A box that reckons as plainly as can be: four megabits a copy, and a quarter more with loss. */
function reckon({ machines, on_wifi: alone, wire_mbps }: RoomPlan): Bandwidth {
  const together = machines - alone;
  const cost = (loss_percent: number, copy: number) => ({
    loss_percent,
    multicast_bps: together > 0 ? copy : 0,
    unicast_bps: copy * alone,
    total_bps: copy * (alone + Math.sign(together)),
    without_multicast_bps: copy * machines,
  });
  const lossy = cost(5, 5_000_000);
  return {
    machines_by_multicast: together,
    machines_alone: alone,
    max_bitrate_bps: 3_900_000,
    max_audio_bitrate_bps: 64_000,
    max_fps: 15,
    costs: [cost(0, 4_000_000), lossy],
    wire: { load_bps: lossy.total_bps, carries_bps: wire_mbps * 1_000_000, verdict: 'carries' },
    wifi: alone > 0 ? { load_bps: 30, carries_bps: 40, verdict: 'tight' } : null,
    budget: { allowed_bps: 60_000_000, verdict: alone > 12 ? 'lowers' : 'carries' },
  };
}

const FIRST: RoomPlan = {
  machines: 30,
  on_wifi: 0,
  profile: 'large',
  wire_mbps: 1000,
  wifi: 'wifi5',
};

/** The box has reckoned for such rooms, and for no others. */
function answer(...plans: Partial<RoomPlan>[]): void {
  for (const part of plans) {
    const plan = { ...FIRST, ...part };
    queryClient.setQueryData(bandwidthQuery(plan).queryKey, reckon(plan));
  }
}

/** How many kinds of rooms the page has asked about. */
const asked = () => queryClient.getQueryCache().getAll().length;

beforeEach(() => answer({}));
afterEach(() => queryClient.clear());

const cells = (name: RegExp) =>
  [...(screen.getByText(name).closest('tr')?.querySelectorAll('td') ?? [])].map(
    (cell) => cell.textContent,
  );

const type = (label: string, text: string) =>
  fireEvent.change(screen.getByLabelText(label), { target: { value: text } });

it('tells what the box sends to a wired class: one copy, whatever is lost', () => {
  renderPart(<NetworkCard />);
  expect(screen.getByText(/link of 1000\sMbit\/.s carries it: 1% of it/)).toBeTruthy();
  expect(cells(/by multicast, to 30 machines/)).toEqual(['4.0', '5.0']);
  expect(cells(/by unicast, to 0 machines/)).toEqual(['0.0', '0.0']);
  expect(cells(/all of it/)).toEqual(['4.0', '5.0']);
  expect(screen.getByText(/no multicast it would be 120.0\sMbit\/.s/)).toBeTruthy();
  expect(screen.queryByText(/of about/)).toBeNull();
  expect(screen.queryByText(/unicast_mbps/)).toBeNull();
});

it('follows what is typed, and says it of the Wi-Fi and of the budget too', () => {
  answer({ on_wifi: 20 });
  renderPart(<NetworkCard />);
  type('Of these on Wi-Fi', '20');
  expect(screen.getByText(/access point is tight/)).toBeTruthy();
  expect(screen.getByText(/makes the picture smaller for all/)).toBeTruthy();
  expect(cells(/by unicast, to 20 machines/)).toEqual(['80.0', '100.0']);
});

it('asks for nothing that the box would refuse', () => {
  answer({ on_wifi: 25 }, { machines: 8, on_wifi: 8 });
  const known = asked();
  renderPart(<NetworkCard />);
  type('Of these on Wi-Fi', '25');
  type('Student machines', '');
  type('Student machines', '8');
  expect(screen.getByText(/by unicast, to 8 machines/)).toBeTruthy();
  expect(asked()).toBe(known);
});
