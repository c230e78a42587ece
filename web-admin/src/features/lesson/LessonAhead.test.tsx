import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { api, queryClient } from '../../api/client';
import type { Lesson } from '../../api/types';
import { lessonWith } from '../../test.lesson';
import { renderPart, signIn } from '../../test.render';
import { LessonAhead } from './LessonAhead';
import { activeLessonsQuery } from './queries';

const posted = vi.spyOn(api, 'POST');

beforeEach(() => {
  signIn();
  posted.mockResolvedValue({ data: lessonWith({ id: 'plan' }), response: new Response() });
});
afterEach(() => {
  posted.mockReset();
  queryClient.clear();
});

function open(plan: Partial<Lesson>, active: Lesson[] = []) {
  queryClient.setQueryData(activeLessonsQuery.queryKey, { items: active });
  renderPart(
    <MemoryRouter>
      <LessonAhead lesson={lessonWith({ id: 'plan', status: 'scheduled', ...plan })} />
    </MemoryRouter>,
  );
}

it('ends what has the room and begins, in one press', async () => {
  open({ class_id: '9a' }, [lessonWith({ id: 'theirs', teacher_id: 'x', teacher_name: 'Ann' })]);
  expect(screen.getByText('Ann is teaching 7 B in this room.')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'End theirs and start mine' }));
  const params = { path: { id: 'plan' }, query: { replace_lesson_id: 'theirs' } };
  expect(posted.mock.calls).toEqual([['/api/v1/lessons/{id}/start', { params }]]);
});

it('leaves alone a lesson on other seats', () => {
  const elsewhere = lessonWith({ teacher_id: 'x', machine_ids: ['PC-1'] });
  open({ class_id: '9a', machine_ids: ['PC-2'] }, [elsewhere]);
  expect(screen.getByRole('button', { name: 'Start the lesson' })).toBeTruthy();
});

it('lets a colleague begin a lesson, but not call it off', () => {
  open({ teacher_id: 'colleague', teacher_name: 'Ann' });
  const cancel = screen.getByRole('button', { name: 'Cancel the lesson' });
  expect(cancel.getAttribute('aria-disabled')).toBe('true');
  expect(screen.getByRole('button', { name: 'Start the lesson' })).toBeTruthy();
});
