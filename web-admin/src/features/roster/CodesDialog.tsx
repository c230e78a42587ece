/**
 * Sign-in codes for students: made anew for as many as are asked for, shown once, printed as a
 * sheet to be cut into strips.
 */
import { Alert, Button, Group, Modal, Stack, Table, Text } from '@mantine/core';
import { IconKey, IconPrinter } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import type { Student, StudentCode } from '../../api/types';
import { joinAddress } from '../../lib/paths';
import { Private } from '../../ui/Covered';
import { PrintSheet } from '../../ui/PrintSheet';
import { ProblemLine } from '../../ui/ProblemLine';
import classes from './CodesDialog.module.css';
import { classQuery } from './queries';

interface Props {
  classId: string;
  /** For whom. */
  students: Student[];
  onClose: () => void;
}

export function CodesDialog({ classId, students, onClose }: Props) {
  const { t } = useTranslation();
  const make = $api.useMutation('post', '/api/v1/classes/{id}/codes');
  const onMake = () =>
    make.mutate({
      params: { path: { id: classId } },
      body: { student_ids: students.map((student) => student.id) },
    });

  // What is shown this once is not lost by a slip: by Done alone.
  const mayLeave = !make.isPending && make.data === undefined;
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('roster.codes')}
      size="lg"
      closeOnClickOutside={mayLeave}
      closeOnEscape={mayLeave}
      withCloseButton={mayLeave}
    >
      {make.data === undefined ? (
        <Stack>
          <Text>{t('roster.codes_about', { address: joinAddress() })}</Text>
          <Text>{t('roster.codes_replace')}</Text>
          <ProblemLine error={make.error} />
          <Group justify="flex-end">
            <Button
              leftSection={<IconKey size={18} aria-hidden />}
              loading={make.isPending}
              onClick={onMake}
            >
              {t('roster.codes_make', { count: students.length })}
            </Button>
          </Group>
        </Stack>
      ) : (
        <Stack>
          <Private>
            <NewCodes classId={classId} codes={make.data.items} />
          </Private>
          <Group justify="flex-end">
            <Button onClick={onClose}>{t('roster.codes_done')}</Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

interface NewCodesProps {
  classId: string;
  codes: StudentCode[];
}

function NewCodes({ classId, codes }: NewCodesProps) {
  const { t, i18n } = useTranslation();
  const { name } = useSuspenseQuery(classQuery(classId)).data;
  const collator = new Intl.Collator(i18n.language, { numeric: true });
  const sorted = codes.toSorted((a, b) => collator.compare(a.full_name, b.full_name));
  return (
    <Stack>
      <Alert color="amber" variant="light">
        {t('roster.codes_once')}
      </Alert>
      <Table>
        <Table.Tbody>
          {sorted.map(({ student_id: id, full_name: fullName, code }) => (
            <Table.Tr key={id}>
              <Table.Td fw={550}>{fullName}</Table.Td>
              <Table.Td className={classes.code ?? ''}>{code}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Group justify="flex-end">
        <Button
          variant="default"
          leftSection={<IconPrinter size={18} aria-hidden />}
          onClick={() => window.print()}
        >
          {t('roster.codes_print')}
        </Button>
      </Group>
      <PrintSheet>
        <ul className={classes.strips}>
          {sorted.map(({ student_id: id, full_name: fullName, code }) => (
            <li key={id} className={classes.strip}>
              <span>
                {fullName}, {name}
              </span>
              <span className={classes.code}>{code}</span>
              <span>{t('roster.codes_strip', { address: joinAddress() })}</span>
            </li>
          ))}
        </ul>
      </PrintSheet>
    </Stack>
  );
}
