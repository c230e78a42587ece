import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { api, queryClient } from '../../api/client';
import type { Student } from '../../api/types';
import { isCovered } from '../../lib/privacy';
import { renderPart } from '../../test.render';
import { CodesDialog } from './CodesDialog';
import { classQuery } from './queries';

const student: Student = {
  id: 's',
  student_id: '7B-01',
  full_name: 'Aigul Akhmetova',
  email: null,
  class_id: 'c',
  is_active: true,
};
const made = {
  student_id: 's',
  student_number: '7B-01',
  full_name: 'Aigul Akhmetova',
  code: '7KQ2-MVX9',
};
const posted = vi.spyOn(api, 'POST');
const onClose = vi.fn<() => void>();

beforeEach(() => {
  queryClient.setQueryData(classQuery('c').queryKey, {
    id: 'c',
    name: '7 B',
    student_count: 1,
    max_students: 50,
  });
  renderPart(<CodesDialog classId="c" students={[student]} onClose={onClose} />);
});
afterEach(() => {
  isCovered.set(false);
  posted.mockReset();
  onClose.mockReset();
  queryClient.clear();
});

const closeButton = () => document.querySelector('.mantine-Modal-close');

/** What a slip of the hand does: Escape, and a click beside the dialog. */
async function slip() {
  await userEvent.keyboard('{Escape}');
  const outside = document.querySelector('.mantine-Modal-inner');
  if (outside) await userEvent.click(outside);
}

it('keeps codes that are shown this once until Done', async () => {
  posted.mockResolvedValue({ data: { items: [made] }, response: new Response() });
  expect(closeButton()).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Make 1 code' }));
  expect((await screen.findAllByText('7KQ2-MVX9')).length).toBeGreaterThan(0);
  await slip();
  expect(closeButton()).toBeNull();
  expect(onClose).not.toHaveBeenCalled();
  await userEvent.click(screen.getByRole('button', { name: 'Done' }));
  expect(onClose).toHaveBeenCalledOnce();
});

it('does not go while the codes are being made', async () => {
  posted.mockReturnValue(new Promise(() => {}));
  await userEvent.click(screen.getByRole('button', { name: 'Make 1 code' }));
  await slip();
  expect(closeButton()).toBeNull();
  expect(onClose).not.toHaveBeenCalled();
});

it('can be left while the class sees the screen, and shows no code then', async () => {
  posted.mockResolvedValue({ data: { items: [made] }, response: new Response() });
  isCovered.set(true);
  await userEvent.click(screen.getByRole('button', { name: 'Make 1 code' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Done' }));
  expect(screen.queryByText('7KQ2-MVX9')).toBeNull();
  expect(onClose).toHaveBeenCalledOnce();
});
