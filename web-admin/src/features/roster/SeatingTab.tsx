/**
 * Who of this class sits where in a room. A student is dragged to a machine, or picked there from a
 * list: the same by mouse, finger and keyboard.
 */
import { Button, Group, Select } from '@mantine/core';
import { IconDeviceDesktopPlus } from '@tabler/icons-react';
import { useMutation, useSuspenseQueries, useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';

import { api, queryClient } from '../../api/client';
import type { Seat } from '../../api/types';
import { paths } from '../../lib/paths';
import { byName } from '../../lib/units';
import { Card, Empty } from '../../ui/Card';
import { ProblemLine } from '../../ui/ProblemLine';
import { machinesQuery, roomsQuery, seatingQuery, studentsQuery } from './queries';
import { SeatCard } from './SeatCard';
import { seat, seatInOrder, unseat } from './seating';
import classes from './Seating.module.css';
import { StudentChip } from './StudentChip';

export function SeatingTab() {
  const { t } = useTranslation();
  const { items: rooms } = useSuspenseQuery(roomsQuery).data;
  const [roomId, setRoomId] = useState(rooms[0]?.id ?? null);
  if (roomId === null) return <Empty>{t('roster.no_rooms')}</Empty>;
  return (
    <>
      <Select
        label={t('roster.room')}
        maw={320}
        data={rooms.map(({ id, name }) => ({ value: id, label: name }))}
        value={roomId}
        onChange={setRoomId}
      />
      <RoomSeating key={roomId} roomId={roomId} />
    </>
  );
}

function RoomSeating({ roomId }: { roomId: string }) {
  const { t, i18n } = useTranslation();
  const { id: classId = '' } = useParams();
  const [machineList, studentList, seating] = useSuspenseQueries({
    queries: [machinesQuery(roomId), studentsQuery(classId), seatingQuery(classId, roomId)],
  });
  const { queryKey } = seatingQuery(classId, roomId);
  const save = useMutation({
    mutationFn: async (seats: Seat[]) => {
      const params = { path: { id: classId, room_id: roomId } };
      await api.PUT('/api/v1/classes/{id}/seating/{room_id}', { params, body: { seats } });
    },
    // A dragged student stays where it was dropped; a refusal puts it back.
    onMutate: (seats) => queryClient.setQueryData(queryKey, { seats }),
    onError: () => void queryClient.invalidateQueries({ queryKey }),
  });

  const seats = seating.data.seats;
  const machines = machineList.data.items.toSorted(byName(i18n.language));
  const students = new Map(studentList.data.items.map((student) => [student.id, student]));
  const seated = new Set(seats.flatMap(({ student_ids }) => student_ids));
  const waiting = [...students.values()].filter(({ id }) => !seated.has(id));
  if (machines.length === 0) return <NoMachines roomId={roomId} />;

  return (
    <>
      <ProblemLine error={save.error} />
      <section className={classes.waiting} aria-label={t('roster.without_seat')}>
        <Group justify="space-between">
          <strong>{t('roster.without_seat_count', { count: waiting.length })}</strong>
          {waiting.length > 0 && (
            <Button
              variant="light"
              size="compact-md"
              onClick={() =>
                save.mutate(
                  seatInOrder(
                    seats,
                    waiting.map(({ id }) => id),
                    machines.map(({ id }) => id),
                  ),
                )
              }
            >
              {t('roster.seat_in_order')}
            </Button>
          )}
        </Group>
        <div className={classes.chips}>
          {waiting.map((student) => (
            <StudentChip key={student.id} student={student} />
          ))}
        </div>
      </section>
      <div className={classes.grid}>
        {machines.map((machine) => {
          const ids = seats.find(({ machine_id }) => machine_id === machine.id)?.student_ids ?? [];
          return (
            <SeatCard
              key={machine.id}
              machine={machine}
              seated={ids.flatMap((id) => students.get(id) ?? [])}
              waiting={waiting}
              onSeat={(studentId) => save.mutate(seat(seats, studentId, machine.id))}
              onUnseat={(studentId) => save.mutate(unseat(seats, studentId))}
            />
          );
        })}
      </div>
    </>
  );
}

function NoMachines({ roomId }: { roomId: string }) {
  const { t } = useTranslation();
  return (
    <Card>
      <Empty
        icon={<IconDeviceDesktopPlus size={30} stroke={1.5} aria-hidden />}
        action={
          <Button variant="light" component={Link} to={paths.room(roomId)}>
            {t('roster.to_room')}
          </Button>
        }
      >
        {t('roster.no_machines')}
      </Empty>
    </Card>
  );
}
