import { expect, it } from 'vitest';

import type { Person } from '../../api/types';
import { byName } from '../../lib/units';
import { seatChoices } from './seats';

const machine = (id: string, is_approved = true) => ({ id, name: `PC ${id}`, is_approved });

const person = (full_name: string, machine_id: string | null): Person => ({
  student_id: full_name,
  full_name,
  machine_id,
  machine_name: null,
  state: 'present',
  present_by: 'machine',
  joined_at: null,
  since_at: null,
});

const anna = person('Ахметова Айгуль', '2');
const people = [anna, person('Баранов Кирилл', '10'), person('Волкова Дарья', '10')];
const choices = (machines: ReturnType<typeof machine>[], machine_ids: string[] | null = null) =>
  seatChoices({ machine_ids }, machines, people, anna, byName('ru'));

it('offers the machines in the order they stand, each with who sits there', () => {
  const offered = choices([machine('10'), machine('2'), machine('3')]);
  expect(offered.map(({ machineId }) => machineId)).toEqual(['2', '3', '10']);
  expect(offered.map(({ others }) => others)).toEqual([[], [], ['Баранов К.', 'Волкова Д.']]);
});

it('knows the seat one has, and one where nobody fits in', () => {
  const [own, free, full] = choices([machine('2'), machine('3'), machine('10')]);
  expect(own).toMatchObject({ isOwn: true, isFull: false });
  expect(free).toMatchObject({ isOwn: false, isFull: false });
  expect(full).toMatchObject({ isOwn: false, isFull: true });
});

it('offers no machine of another lesson in the room, and none that was not let in', () => {
  const offered = choices([machine('2'), machine('3'), machine('4', false)], ['3', '4']);
  expect(offered.map(({ machineId }) => machineId)).toEqual(['3']);
});
