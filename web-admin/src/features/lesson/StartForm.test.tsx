import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter, Route, Routes } from 'react-router';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { api, queryClient } from '../../api/client';
import { ApiProblem } from '../../api/problem';
import type { Lesson, Machine } from '../../api/types';
import { boxNow } from '../../lib/time';
import { lessonWith } from '../../test.lesson';
import { renderPart, signIn } from '../../test.render';
import { machinesQuery } from './queries';
import { StartForm } from './StartForm';

const machines = ['PC-1', 'PC-2', 'PC-3'].map((name): Machine => ({
  id: name,
  name,
  room_id: 'r1',
  agent_version: '0.1.0',
  enrolled_at: 0,
  last_seen_at: 0,
  is_approved: true,
  is_connected: true,
  session_in_use: false,
  refused: null,
}));
const posted = vi.spyOn(api, 'POST');

beforeEach(() => {
  signIn();
  queryClient.setQueryData(machinesQuery('r1').queryKey, { items: machines });
  posted.mockResolvedValue({ data: lessonWith({ id: 'new' }), response: new Response() });
});
afterEach(() => {
  posted.mockReset();
  queryClient.clear();
});

function open(lessons: { active?: Lesson[]; planned?: Lesson[] }) {
  renderPart(
    <MemoryRouter>
      <Routes>
        <Route
          path="/"
          element={
            <StartForm
              classes={[{ id: '9a', name: '9 A', student_count: 20, max_students: 50 }]}
              rooms={[{ id: 'r1', name: '204', machine_count: 3, connected_count: 3 }]}
              active={lessons.active ?? []}
              recent={[]}
              planned={lessons.planned ?? []}
            />
          }
        />
        <Route path="/lessons/:id" element={<p>at the desk</p>} />
      </Routes>
    </MemoryRouter>,
  );
}

const press = (name: string) => userEvent.click(screen.getByRole('button', { name }));
const start = '/api/v1/lessons/start';
const refusal = (code: string, lesson: object) =>
  ApiProblem.from(new Response(JSON.stringify({ code, lesson }), { status: 409 }));

it('starts with one press, and goes to the desk', async () => {
  open({});
  await press('Start the lesson');
  expect(await screen.findByText('at the desk')).toBeTruthy();
  const body = { class_id: '9a', room_id: 'r1', machine_ids: null, replace_lesson_id: null };
  expect(posted.mock.calls).toEqual([[start, { body }]]);
});

it("ends one's own forgotten lesson by name, in the same press", async () => {
  open({ active: [lessonWith({ id: 'old', class_id: '7b', class_name: '7 B' })] });
  expect(screen.getByText('Your lesson with 7 B is still on in this room.')).toBeTruthy();
  await press('End my 7 B and start 9 A');
  const body = { class_id: '9a', room_id: 'r1', machine_ids: null, replace_lesson_id: 'old' };
  expect(posted.mock.calls).toEqual([[start, { body }]]);
});

it('offers the machines that a colleague has left free, before ending anything', async () => {
  const theirs = lessonWith({ id: 'theirs', teacher_id: 'colleague', machine_ids: ['PC-1'] });
  open({ active: [theirs] });
  expect(screen.getByRole('button', { name: 'End theirs and start mine' })).toBeTruthy();
  await press('Start at the 2 free machines');
  const free = ['PC-2', 'PC-3'];
  const body = { class_id: '9a', room_id: 'r1', machine_ids: free, replace_lesson_id: null };
  expect(posted.mock.calls).toEqual([[start, { body }]]);
});

it('starts at some of the machines only', async () => {
  open({});
  await press('Only some of the machines…');
  const picker = screen.getByRole('group', { name: 'Machines of this lesson' });
  await userEvent.click(within(picker).getByRole('checkbox', { name: 'PC-1' }));
  await userEvent.click(within(picker).getByRole('checkbox', { name: 'PC-2' }));
  await press('Start the lesson');
  const body = { class_id: '9a', room_id: 'r1', machine_ids: ['PC-3'], replace_lesson_id: null };
  expect(posted.mock.calls).toEqual([[start, { body }]]);
});

it('begins what was planned for now instead of leaving it behind', async () => {
  const now = boxNow();
  const due = { class_id: '9a', start_at: now, planned_end_at: now + 60_000 };
  open({ planned: [lessonWith({ id: 'plan', status: 'scheduled', ...due })] });
  await press('Start the lesson');
  const params = { path: { id: 'plan' }, query: {} };
  expect(posted.mock.calls).toEqual([['/api/v1/lessons/{id}/start', { params }]]);
});

it('offers to end the lesson that began in between', async () => {
  const lesson = { id: 'theirs', teacher_name: 'Ann', class_name: '7 B' };
  posted.mockRejectedValueOnce(await refusal('room_busy', lesson));
  open({});
  await press('Start the lesson');
  expect(await screen.findByText('Ann is teaching 7 B in this room.')).toBeTruthy();
  await press('End theirs and start mine');
  const body = { class_id: '9a', room_id: 'r1', machine_ids: null, replace_lesson_id: 'theirs' };
  expect(posted.mock.calls[1]).toEqual([start, { body }]);
});

it('goes to the lesson that is on already', async () => {
  const on = lessonWith({ id: 'on' });
  posted.mockRejectedValueOnce(await refusal('lesson_already_running', on));
  open({});
  await press('Start the lesson');
  expect(await screen.findByText('at the desk')).toBeTruthy();
});
