import { Button, Group, Table, VisuallyHidden } from '@mantine/core';
import { IconFileImport, IconKey, IconUserPlus, IconUsers } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { Student } from '../../api/types';
import { files } from '../../lib/paths';
import { Card, Empty } from '../../ui/Card';
import { Confirm } from '../../ui/Confirm';
import { DownloadMenu } from '../../ui/DownloadMenu';
import { RowMenu } from '../../ui/RowMenu';
import { CodesDialog } from './CodesDialog';
import { ImportDialog } from './ImportDialog';
import { classesQuery, classQuery, studentsQuery } from './queries';
import { StudentDialog } from './StudentDialog';

type Open =
  | { kind: 'add' | 'import' }
  | { kind: 'edit' | 'remove'; student: Student }
  | { kind: 'codes'; students: Student[] }
  | null;

export function StudentsTab() {
  const { t, i18n } = useTranslation();
  const { id = '' } = useParams();
  const { items } = useSuspenseQuery(studentsQuery(id)).data;
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  const collator = new Intl.Collator(i18n.language, { numeric: true });
  const students = items.toSorted((a, b) => collator.compare(a.full_name, b.full_name));

  return (
    <>
      <Group gap="sm">
        <Button
          leftSection={<IconFileImport size={18} aria-hidden />}
          onClick={() => setOpen({ kind: 'import' })}
        >
          {t('roster.import')}
        </Button>
        <Button
          variant="default"
          leftSection={<IconUserPlus size={18} aria-hidden />}
          onClick={() => setOpen({ kind: 'add' })}
        >
          {t('roster.add_student')}
        </Button>
        <Button
          variant="default"
          leftSection={<IconKey size={18} aria-hidden />}
          disabled={students.length === 0}
          onClick={() => setOpen({ kind: 'codes', students })}
        >
          {t('roster.codes')}
        </Button>
        <DownloadMenu href={(kind) => files.students(id, kind)} />
      </Group>
      <Card isFlush>
        {students.length === 0 ? (
          <Empty icon={<IconUsers size={30} stroke={1.5} aria-hidden />}>
            {t('roster.no_students')}
          </Empty>
        ) : (
          <StudentTable students={students} onOpen={setOpen} />
        )}
      </Card>
      {open?.kind === 'import' && <ImportDialog classId={id} onClose={close} />}
      {open?.kind === 'add' && <StudentDialog classId={id} student={null} onClose={close} />}
      {open?.kind === 'edit' && (
        <StudentDialog classId={id} student={open.student} onClose={close} />
      )}
      {open?.kind === 'codes' && (
        <CodesDialog classId={id} students={open.students} onClose={close} />
      )}
      {open?.kind === 'remove' && (
        <RemoveStudent classId={id} student={open.student} onClose={close} />
      )}
    </>
  );
}

function StudentTable({ students, onOpen }: { students: Student[]; onOpen: (open: Open) => void }) {
  const { t } = useTranslation();
  return (
    <Table.ScrollContainer minWidth={320}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('roster.full_name')}</Table.Th>
            <Table.Th>{t('roster.number')}</Table.Th>
            <Table.Th visibleFrom="sm">{t('roster.email')}</Table.Th>
            <Table.Th w={56}>
              <VisuallyHidden>{t('ui.actions')}</VisuallyHidden>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {students.map((student) => (
            <Table.Tr key={student.id}>
              <Table.Td fw={550}>{student.full_name}</Table.Td>
              <Table.Td c="dimmed">{student.student_id}</Table.Td>
              <Table.Td c="dimmed" visibleFrom="sm">
                {student.email}
              </Table.Td>
              <Table.Td>
                <RowMenu
                  subject={student.full_name}
                  actions={[
                    { label: t('ui.edit'), onPick: () => onOpen({ kind: 'edit', student }) },
                    {
                      label: t('roster.new_code'),
                      onPick: () => onOpen({ kind: 'codes', students: [student] }),
                    },
                    {
                      label: t('roster.remove_student'),
                      isDangerous: true,
                      onPick: () => onOpen({ kind: 'remove', student }),
                    },
                  ]}
                />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

interface RemoveProps {
  classId: string;
  student: Student;
  onClose: () => void;
}

function RemoveStudent({ classId, student, onClose }: RemoveProps) {
  const { t } = useTranslation();
  const remove = $api.useMutation('delete', '/api/v1/students/{id}', {
    onSuccess: async () => {
      await refresh(studentsQuery(classId), classQuery(classId), classesQuery);
      onClose();
    },
  });
  return (
    <Confirm
      isOpen
      title={t('roster.remove_student')}
      what={t('roster.remove_student_what', { name: student.full_name })}
      yes={t('ui.remove')}
      isBusy={remove.isPending}
      error={remove.error}
      onYes={() => remove.mutate({ params: { path: { id: student.id } } })}
      onClose={onClose}
    />
  );
}
