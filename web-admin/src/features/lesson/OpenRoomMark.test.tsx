import { screen } from '@testing-library/react';
import { afterEach, expect, it } from 'vitest';

import { queryClient } from '../../api/client';
import { renderPart } from '../../test.render';
import { OpenRoomMark } from './OpenRoomMark';
import { openAirQuery } from './queries';

const open = (isOpen: boolean) => {
  const opened_at = isOpen ? Date.now() : null;
  queryClient.setQueryData(openAirQuery('r').queryKey, { is_open: isOpen, opened_at });
  renderPart(<OpenRoomMark roomId="r" />);
};

afterEach(() => queryClient.clear());

it('says that anybody can watch while the room is open', () => {
  open(true);
  const words = 'This room is open: anybody on the network can watch and listen';
  expect(screen.getByRole('status').textContent).toBe(words);
});

it('says nothing of a room that is not', () => {
  open(false);
  expect(screen.queryByRole('status')).toBeNull();
});
