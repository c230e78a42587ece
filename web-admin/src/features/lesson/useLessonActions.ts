/** What a teacher does to a lesson, each one call to the box. */
import { useMutation } from '@tanstack/react-query';

import { api, queryClient } from '../../api/client';
import { refresh } from '../../api/refresh';
import type { Lesson, SourceForm, StreamState } from '../../api/types';
import { studio } from './media/studio';
import { activeLessonsQuery, lessonQuery, streamQuery } from './queries';

export interface LessonChange {
  picture?: Lesson['picture'];
  is_recording?: boolean;
  quality_profile?: Lesson['quality_profile'] | null;
}

export function useLessonActions(lesson: Lesson) {
  const { queryKey } = lessonQuery(lesson.id);
  const of = { params: { path: { id: lesson.id } } };
  const keep = (data: Lesson | undefined) => {
    if (data !== undefined) queryClient.setQueryData(queryKey, data);
    void queryClient.invalidateQueries({ queryKey: activeLessonsQuery.queryKey });
  };

  const change = useMutation({
    // In the order of the presses, however many there are before the box answers.
    scope: { id: `change of ${lesson.id}` },
    mutationFn: async (body: LessonChange) =>
      (await api.PATCH('/api/v1/lessons/{id}', { ...of, body })).data,
    // Pending until the lesson is read anew: an answer that was on its way before is dropped.
    onSettled: () => queryClient.invalidateQueries({ queryKey }),
  });
  const end = useMutation({
    mutationFn: async () => (await api.POST('/api/v1/lessons/{id}/end', of)).data,
    onSuccess: keep,
  });
  const extend = useMutation({
    mutationFn: async (minutes: number) =>
      (await api.POST('/api/v1/lessons/{id}/extend', { ...of, body: { minutes } })).data,
    onSuccess: keep,
  });
  const takeOver = useMutation({
    mutationFn: async () => (await api.POST('/api/v1/lessons/{id}/take_over', of)).data,
    onSuccess: keep,
  });
  const source = useMutation({
    mutationFn: async (body: SourceForm) => {
      await api.POST('/api/v1/lessons/{id}/source', { ...of, body });
      await refresh(streamQuery(lesson.id));
    },
    // The box has taken this tab's place: without this the tab would think itself pushed aside.
    onSuccess: () => {
      const stream = queryClient.getQueryData<StreamState>(streamQuery(lesson.id).queryKey);
      if (stream !== undefined) studio.giveWay(stream);
    },
  });
  // Blank must feel like a switch: the last press counts, whatever the box says of earlier ones.
  const { quality_profile: _pinned, ...wished } = (change.isPending && change.variables) || {};
  return { change, end, extend, takeOver, source, wished };
}

export type LessonActions = ReturnType<typeof useLessonActions>;
