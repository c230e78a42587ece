import { screen } from '@testing-library/react';
import { expect, it } from 'vitest';

import type { StreamState } from '../../api/types';
import { renderPart } from '../../test.render';
import { RefusedNote } from './RefusedNote';

const stream = (refused: StreamState['refused']): StreamState => ({
  on_air: true,
  publications: [],
  machines: [],
  refused,
});

it('says that somebody forges, and that nothing of it was shown', () => {
  const refused = { by_machines: 40, forged: 2, replayed: 9, strange: 0 };
  renderPart(<RefusedNote stream={stream(refused)} />);
  expect(screen.getByRole('status').textContent).toMatch(/42 .*nothing of them was shown/);
});

it('makes nothing of packets that come twice or late, as in any network', () => {
  const refused = { by_machines: 0, forged: 0, replayed: 9, strange: 3 };
  renderPart(<RefusedNote stream={stream(refused)} />);
  expect(screen.queryByRole('status')).toBeNull();
});
