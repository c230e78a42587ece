/**
 * What went wrong, as one type.
 *
 * The box answers errors as problem+json with a stable `code`; the pages translate by that code
 * and fall back to the box's own English `detail`. A box that does not answer at all is a problem
 * too, with the code `box_away`, so that no caller has two kinds of failure to think of.
 */
import type { TFunction } from 'i18next';

import en from '../i18n/en.json';
import type { Lesson, Problem } from './types';

export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly problem: Partial<Problem>;

  constructor(status: number, code: string, problem: Partial<Problem>) {
    super(problem.detail ?? code);
    this.name = 'ApiProblem';
    this.status = status;
    this.code = code;
    this.problem = problem;
  }

  /** The box did not answer: it restarts, or the network is gone. Worth trying again. */
  get isAway(): boolean {
    return this.code === BOX_AWAY;
  }

  static away(): ApiProblem {
    return new ApiProblem(0, BOX_AWAY, {});
  }

  /** Reads a failed response; a body that is no problem+json (a proxy's page) still gets a code. */
  static async from(response: Response): Promise<ApiProblem> {
    const body: unknown = await response.json().catch(() => null);
    const problem: Partial<Problem> = isObject(body) ? body : {};
    // 502 and 504 come from something in between; 503 without a code from a box that stops.
    const fallback = response.status >= 502 ? BOX_AWAY : 'unexpected';
    return new ApiProblem(response.status, problem.code ?? fallback, problem);
  }
}

const BOX_AWAY = 'box_away';

function isObject(value: unknown): value is Partial<Problem> {
  return typeof value === 'object' && value !== null;
}

/** The sentence for a person, in the page's language. */
export function problemText(t: TFunction, error: unknown): string {
  if (!(error instanceof ApiProblem)) return t('problem.unexpected');
  const { code, problem } = error;
  if (code === 'slow_down' && problem.retry_after_seconds != null) {
    return t('problem.slow_down_for', { seconds: problem.retry_after_seconds });
  }
  const fields = problem.fields ?? [];
  if (code === 'invalid_input' && fields.length > 0) {
    return fields.map((field) => knownProblem(t, field.code) ?? field.detail).join(' ');
  }
  return knownProblem(t, code) ?? problem.detail ?? t('problem.unexpected');
}

/** Where the box's own words say more than any translation: which file, which version. */
const WITH_DETAIL = new Set(['database_newer', 'database_unreadable', 'start_failed']);

/** What the box itself says, in English, to be read beside `problemText`. */
export function boxDetail(error: unknown): string | null {
  if (!(error instanceof ApiProblem) || !WITH_DETAIL.has(error.code)) return null;
  return error.problem.detail ?? null;
}

/** It is there, but not this person's to see or do. */
export function isForbidden(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 403;
}

/** A lesson as a problem names it: at least by class and teacher. */
export type NamedLesson = Pick<Lesson, 'id' | 'class_name' | 'teacher_name'> &
  Partial<Pick<Lesson, 'teacher_id' | 'machine_ids'>>;

/** The lesson that the box says `code` about. */
export function lessonOf(error: unknown, code: string): NamedLesson | null {
  if (!(error instanceof ApiProblem) || error.code !== code) return null;
  const named: unknown = error.problem.lesson;
  return isNamedLesson(named) ? named : null;
}

function isNamedLesson(value: unknown): value is NamedLesson {
  return typeof value === 'object' && value !== null && 'id' in value && 'class_name' in value;
}

/** The problem of one field of a form, if the box named it. */
export function fieldProblem(t: TFunction, error: unknown, field: string): string | undefined {
  if (!(error instanceof ApiProblem)) return undefined;
  const found = error.problem.fields?.find((candidate) => candidate.field === field);
  if (found === undefined) return undefined;
  return knownProblem(t, found.code) ?? found.detail;
}

/** The sentence for a bare code, if the catalogue has one. */
export function knownProblem(t: TFunction, code: string): string | undefined {
  return isKnownCode(code) ? t(`problem.${code}`) : undefined;
}

/** A fault of the box in the page's language, if the catalogue has it. */
export function knownFault(t: TFunction, code: string): string | undefined {
  return isFaultCode(code) ? t(`fault.${code}`) : undefined;
}

function isFaultCode(code: string): code is keyof typeof en.fault {
  return code in en.fault;
}

type KnownCode = Exclude<keyof typeof en.problem, 'slow_down_for'>;

function isKnownCode(code: string): code is KnownCode {
  return code in en.problem && code !== 'slow_down_for';
}
