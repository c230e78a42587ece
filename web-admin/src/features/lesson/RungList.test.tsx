import { screen } from '@testing-library/react';
import { expect, it } from 'vitest';

import type { MachineStream, StreamState } from '../../api/types';
import { renderPart } from '../../test.render';
import { RungList } from './RungList';

const machine = (name: string, of: Partial<MachineStream>): MachineStream => ({
  machine_id: name,
  name,
  state: 'receiving',
  fps: 30,
  lost_ratio: 0,
  rung: 'multicast',
  ...of,
});

const stream = (machines: MachineStream[], of: Partial<StreamState> = {}): StreamState => ({
  on_air: true,
  publications: [],
  machines,
  ...of,
});

it('says who gets the picture alone, and why', () => {
  const machines = [
    machine('PC 1', {}),
    machine('PC 2', { rung: 'unicast', rung_cause: 'group_silent' }),
    machine('PC 3', { rung: 'tunnel', rung_cause: 'udp_silent' }),
    machine('Tablet', { rung: 'unicast', rung_cause: null }),
  ];
  renderPart(<RungList stream={stream(machines)} />);
  const lines = screen.getAllByRole('listitem').map(({ textContent }) => textContent);
  expect(lines).toEqual([
    'PC 2: by a stream of its own (nothing by multicast for 0.5 s: the switch or the Wi-Fi may be dropping it)',
    'PC 3: through an encrypted connection (TLS) (nothing by UDP for 0.5 s: a firewall may be dropping it)',
    'Tablet: by a stream of its own',
  ]);
  expect(screen.queryByText(/fewer bits/)).toBeNull();
});

it('says when the picture is made smaller for them, and when that does not help', () => {
  const machines = [machine('PC 2', { rung: 'unicast' })];
  const egress = { machines: 1, is_lowered: true, is_over: true };
  renderPart(<RungList stream={stream(machines, { egress })} />);
  expect(screen.getByText(/fewer bits/)).toBeTruthy();
  expect(screen.getByText(/does not slow down/)).toBeTruthy();
});

it('says nothing where all receive together', () => {
  renderPart(<RungList stream={stream([machine('PC 1', {})])} />);
  expect(screen.queryByRole('list')).toBeNull();
});
