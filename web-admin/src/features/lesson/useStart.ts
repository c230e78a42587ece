/** Begins a lesson, planned or not, and goes to its desk. */
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from 'react-router';

import { api, queryClient } from '../../api/client';
import { lessonOf } from '../../api/problem';
import { refresh } from '../../api/refresh';
import type { Lesson } from '../../api/types';
import { paths } from '../../lib/paths';
import { lessonQuery } from './queries';

export interface Start {
  /** A planned lesson, or class, room and machines of a new one. */
  what: { planned: string } | { class_id: string; room_id: string; machine_ids: string[] | null };
  /** A lesson that ends in the same step. */
  replaced: string | null;
}

export function useStart() {
  const navigate = useNavigate();
  return useMutation({
    mutationFn: async (start: Start) => {
      const lesson = await begin(start);
      if (lesson === undefined) return;
      queryClient.setQueryData(lessonQuery(lesson.id).queryKey, lesson);
      await navigate(paths.lesson(lesson.id));
    },
    onError: (error) => {
      // Somebody began or ended in between: now the page knows, and offers what is possible.
      void refresh({ queryKey: ['get', '/api/v1/lessons'] });
      // One's own double click, or a second device: the lesson is on, so go there.
      const running = lessonOf(error, 'lesson_already_running');
      if (running !== null) void navigate(paths.lesson(running.id));
    },
  });
}

async function begin({ what, replaced }: Start): Promise<Lesson | undefined> {
  if (!('planned' in what)) {
    const body = { ...what, replace_lesson_id: replaced };
    return (await api.POST('/api/v1/lessons/start', { body })).data;
  }
  const query = replaced === null ? {} : { replace_lesson_id: replaced };
  const params = { path: { id: what.planned }, query };
  return (await api.POST('/api/v1/lessons/{id}/start', { params })).data;
}
