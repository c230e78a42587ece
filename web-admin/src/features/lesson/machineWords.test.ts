import { expect, it } from 'vitest';

import type { MachineStream } from '../../api/types';
import { byName } from '../../lib/units';
import { alone, summarize } from './machineWords';

const machine = (name: string, state: MachineStream['state']): MachineStream => ({
  machine_id: name,
  name,
  rung: 'multicast',
  state,
  fps: 0,
  lost_ratio: 0,
});

it('counts what is on, and puts trouble first', () => {
  const summary = summarize(
    [
      machine('PC 10', 'receiving'),
      machine('PC 2', 'receiving'),
      machine('PC 3', 'off'),
      machine('PC 9', 'stalled'),
    ],
    byName('en'),
  );
  expect(summary.on).toBe(3);
  expect(summary.showing).toBe(2);
  expect(summary.machines.map(({ name }) => name)).toEqual(['PC 9', 'PC 2', 'PC 10', 'PC 3']);
});

it('finds the machines that get the stream on their own', () => {
  const at = (name: string, rung: MachineStream['rung']) => ({
    ...machine(name, 'receiving'),
    rung,
  });
  const machines = [at('A', 'multicast'), at('B', 'unicast'), at('C', 'tunnel'), at('D', null)];
  expect(alone(machines).map(({ name }) => name)).toEqual(['B', 'C']);
});
