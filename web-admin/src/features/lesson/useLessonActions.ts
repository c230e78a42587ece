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
    mutationFn: async (body: LessonChange) =>
      (await api.PATCH('/api/v1/lessons/{id}', { ...of, body })).data,
    // Blank must feel like a switch: the page shows it before the box has answered.
    onMutate: ({ quality_profile: _pinned, ...shown }) => {
      queryClient.setQueryData(queryKey, { ...lesson, ...shown });
    },
    onSuccess: keep,
    onError: () => void queryClient.invalidateQueries({ queryKey }),
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
  return { change, end, extend, takeOver, source };
}

export type LessonActions = ReturnType<typeof useLessonActions>;
