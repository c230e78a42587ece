import { screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { queryClient } from '../../api/client';
import type { Person } from '../../api/types';
import { announceSurface } from '../../lib/privacy';
import { renderPart } from '../../test.render';
import { PeopleCard } from './PeopleCard';
import { peopleQuery } from './queries';

const people: Person[] = [person('Ахметова Айгуль', 'present'), person('Баранов Кирилл', 'absent')];

function person(full_name: string, state: Person['state']): Person {
  return {
    student_id: full_name,
    full_name,
    machine_id: null,
    machine_name: 'PC-01',
    state,
    joined_at: null,
    since_at: null,
  };
}

beforeEach(() => {
  queryClient.setQueryData(peopleQuery('l').queryKey, { items: people });
});
afterEach(() => announceSurface(null));

it('shows who is here while a window or a tab is on air', () => {
  announceSurface('window');
  renderPart(<PeopleCard lessonId="l" />);
  expect(screen.getByText('Ахметова А.')).toBeTruthy();
});

it('takes every name off the page while the whole screen is on air, and keeps the count', () => {
  announceSurface('whole_screen');
  const { container } = renderPart(<PeopleCard lessonId="l" />);
  for (const { full_name } of people) {
    const family = full_name.split(' ')[0] ?? '';
    expect(container.innerHTML).not.toContain(family);
  }
  expect(screen.getByText('1 of 2')).toBeTruthy();
});
