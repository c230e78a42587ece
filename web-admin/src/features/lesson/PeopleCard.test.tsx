import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { queryClient } from '../../api/client';
import type { Person } from '../../api/types';
import { announceSurface } from '../../lib/privacy';
import { lessonWith } from '../../test.lesson';
import { renderPart } from '../../test.render';
import type { Verdict } from '../../ui/VerdictButton';
import { PeopleCard } from './PeopleCard';
import { machinesQuery, peopleQuery } from './queries';

const people: Person[] = [person('Ахметова Айгуль', 'present'), person('Баранов Кирилл', 'absent')];

function person(full_name: string, state: Person['state']): Person {
  return {
    student_id: full_name,
    full_name,
    machine_id: null,
    machine_name: 'PC-01',
    state,
    present_by: state === 'present' ? 'machine' : null,
    joined_at: null,
    since_at: null,
  };
}

const lesson = lessonWith({ room_id: 'r' });

const renderCard = (maySeat: Verdict = { ok: true }) =>
  renderPart(<PeopleCard lesson={lesson} maySeat={maySeat} />);

const aigul = () => screen.getByRole<HTMLButtonElement>('button', { name: /Ахметова/ });

beforeEach(() => {
  queryClient.setQueryData(peopleQuery('l').queryKey, { items: people });
  queryClient.setQueryData(machinesQuery('r').queryKey, { items: [] });
});
afterEach(() => announceSurface(null));

it('shows who is here while a window or a tab is on air', () => {
  announceSurface('window');
  renderCard();
  expect(screen.getByText('Ахметова А.')).toBeTruthy();
});

it('takes every name off the page while the whole screen is on air, and keeps the count', () => {
  announceSurface('whole_screen');
  const { container } = renderCard();
  for (const { full_name } of people) {
    const family = full_name.split(' ')[0] ?? '';
    expect(container.innerHTML).not.toContain(family);
  }
  expect(screen.getByText('1 of 2')).toBeTruthy();
});

it('tells a page of their own from the machine where a student sits', () => {
  const byPage: Person = { ...person('Ахметова Айгуль', 'present'), present_by: 'page' };
  queryClient.setQueryData(peopleQuery('l').queryKey, { items: [byPage] });
  renderCard();
  expect(aigul().textContent).toContain('own page');
  expect(aigul().textContent).not.toContain('PC-01');
});

it('asks where a student sits now, and stops asking when the whole screen goes on air', async () => {
  renderCard();
  await userEvent.click(aigul());
  expect(await screen.findByRole('dialog', { name: 'Ахметова Айгуль' })).toBeTruthy();
  announceSurface('whole_screen');
  await waitFor(() => expect(document.body.innerHTML).not.toContain('Ахметова'));
});

it('moves nobody for a teacher who does not hold the lesson', () => {
  renderCard({ ok: false, reason: 'not yours' });
  expect(aigul().disabled).toBe(true);
});
