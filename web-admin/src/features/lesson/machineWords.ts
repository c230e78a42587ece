/**
 * The state of the stream, counted and sorted as a teacher reads it: what is wrong comes first.
 */
import type { MachineStream } from '../../api/types';

export interface StreamSummary {
  /** Machines that are on and belong to this lesson. */
  on: number;
  showing: number;
  machines: MachineStream[];
}

const URGENCY: Record<MachineStream['state'], number> = {
  stalled: 0,
  no_player: 1,
  waiting: 2,
  receiving: 3,
  off: 4,
};

export function summarize(
  machines: readonly MachineStream[],
  byName: (a: MachineStream, b: MachineStream) => number,
): StreamSummary {
  return {
    on: machines.filter(({ state }) => state !== 'off').length,
    showing: machines.filter(({ state }) => state === 'receiving').length,
    machines: machines.toSorted((a, b) => URGENCY[a.state] - URGENCY[b.state] || byName(a, b)),
  };
}

/** A machine that needs a look while something is on air. */
export function needsLook({ state }: MachineStream): boolean {
  return state === 'stalled' || state === 'no_player' || state === 'waiting';
}

/** Machines that get the stream each on its own, by whichever way. */
export function alone(machines: readonly MachineStream[]): MachineStream[] {
  return machines.filter(({ rung }) => rung === 'unicast' || rung === 'tunnel');
}
