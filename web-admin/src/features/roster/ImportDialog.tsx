/**
 * Reads a class from a file. First a preview: what the box understood, line by line; nothing is
 * written before every line is good.
 */
import { Button, FileInput, Group, Modal, Stack } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import type { TFunction } from 'i18next';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { sendFile } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { ImportPreview, ImportResult } from '../../api/types';
import { files } from '../../lib/paths';
import { ProblemLine } from '../../ui/ProblemLine';
import { type Verdict, VerdictButton } from '../../ui/VerdictButton';
import { ImportPreviewTable } from './ImportPreviewTable';
import { classesQuery, classQuery, studentsQuery } from './queries';

export function ImportDialog({ classId, onClose }: { classId: string; onClose: () => void }) {
  const { t } = useTranslation();
  const [file, setFile] = useState<File | null>(null);
  const preview = useMutation({
    mutationFn: (picked: File) => sendFile<ImportPreview>(files.importPreview(classId), picked),
  });
  const load = useMutation({
    mutationFn: (picked: File) => sendFile<ImportResult>(files.importStudents(classId), picked),
    onSuccess: async (result) => {
      await refresh(studentsQuery(classId), classQuery(classId), classesQuery);
      notifications.show({ color: 'pine', message: t('roster.imported', { ...result }) });
      onClose();
    },
  });
  const pick = (picked: File | null) => {
    setFile(picked);
    load.reset();
    if (picked === null) preview.reset();
    else preview.mutate(picked);
  };

  return (
    <Modal opened onClose={onClose} title={t('roster.import')} size="xl">
      <Stack>
        <FileInput
          label={t('roster.file')}
          description={t('roster.file_about')}
          placeholder={t('roster.file_pick')}
          accept=".csv,.txt,.xlsx"
          size="md"
          clearable
          value={file}
          onChange={pick}
        />
        <ProblemLine error={preview.error ?? load.error} />
        {preview.data !== undefined && <ImportPreviewTable preview={preview.data} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t('ui.cancel')}
          </Button>
          {file !== null && preview.data !== undefined && (
            <VerdictButton
              verdict={verdictOf(t, preview.data)}
              loading={load.isPending}
              onClick={() => load.mutate(file)}
            >
              {t('roster.import_now', { count: preview.data.add + preview.data.update })}
            </VerdictButton>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}

function verdictOf(t: TFunction, { bad_lines, add, update, too_many }: ImportPreview): Verdict {
  if (bad_lines.length > 0) return { ok: false, reason: t('roster.import_mend_first') };
  if (too_many > 0) return { ok: false, reason: t('problem.class_full') };
  return add + update > 0 ? { ok: true } : { ok: false, reason: t('roster.import_no_news') };
}
