import { screen } from '@testing-library/react';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { queryClient } from '../../api/client';
import type { Lesson } from '../../api/types';
import { boxNow, formatTime } from '../../lib/time';
import { lessonWith } from '../../test.lesson';
import { renderPart, signIn } from '../../test.render';
import { LeftAlone } from './LeftAlone';

const MINUTE = 60_000;

beforeEach(() => signIn());
afterEach(() => queryClient.clear());

function open(part: Partial<Lesson>) {
  const theirs = { id: 'theirs', teacher_id: 'colleague', teacher_name: 'Ann' };
  renderPart(
    <MemoryRouter>
      <LeftAlone lessons={[lessonWith({ ...theirs, ...part })]} />
    </MemoryRouter>,
  );
}

it('says of a lesson with no teacher there when it ends, and leads there', () => {
  const endsAt = boxNow() + 9 * MINUTE;
  open({ planned_end_at: boxNow() - MINUTE, ends_by_itself_at: endsAt });
  const words = `Ann is not there. The lesson ends by itself at ${formatTime('en', endsAt)}.`;
  expect(screen.getByText(words)).toBeTruthy();
  expect(screen.getByRole('link', { name: 'Open' }).getAttribute('href')).toBe('/lessons/theirs');
});

it('says nothing while the lesson is to go on, nor of one with its teacher there', () => {
  open({ planned_end_at: boxNow() + MINUTE, ends_by_itself_at: boxNow() + 11 * MINUTE });
  open({ planned_end_at: boxNow() - MINUTE, ends_by_itself_at: null });
  expect(screen.queryByRole('status')).toBeNull();
});
