/**
 * What this tab watches: one call to the box that is kept up, and what a person may know of it.
 */
import { ApiProblem } from '../../api/problem';
import type { LessonShowing } from '../../api/types';
import { whepEndpoint } from '../../lib/paths';
import { type Phase, Redial } from '../../lib/redial';
import { createStore, type Store } from '../../lib/store';
import type { After } from '../../lib/timer';
import { WhepCall } from './whep';

/** Until the box has said it. */
const PLAYOUT_MS = 250;

/** So often may media find no way through before something else is tried. */
const BLOCKED_TIMES = 2;

/** A restarted box may not have taken the lesson up yet, nor the student's page; and one may have asked too often. */
const PASSING: ReadonlySet<string> = new Set(['lesson_not_active', 'not_your_lesson', 'slow_down']);

export interface Watching {
  phase: Phase;
  problem: unknown;
  /** Picture and sound of the last call: its last picture stays while another is dialled. */
  screen: MediaStream | null;
  voice: MediaStream | null;
}

type ViewedShowing = Pick<LessonShowing, 'playout_ms' | 'codec_video'>;

export interface ViewerPlan {
  lessonId: string;
  hasSound: boolean;
  after: After;
}

export class Viewer {
  readonly state: Store<Watching> = createStore<Watching>({
    phase: 'stopped',
    problem: null,
    screen: null,
    voice: null,
  });
  readonly #redial: Redial<WhepCall>;
  /** The newest session of this page, as long as it comes back by itself. */
  #former: string | null = null;
  #playoutMs = PLAYOUT_MS;
  #codec: LessonShowing['codec_video'] = null;
  #blocked = 0;

  constructor(plan: ViewerPlan) {
    this.#redial = new Redial({
      dial: (signal) =>
        WhepCall.dial(
          {
            endpoint: whepEndpoint(plan.lessonId, this.#former),
            sounds: plan.hasSound ? 2 : 0,
            playoutMs: this.#playoutMs,
            after: plan.after,
          },
          signal,
        ),
      isFinal: (error) => this.#isFinal(error),
      after: plan.after,
      onPhase: (phase, problem) => this.#onPhase(phase, problem),
    });
  }

  start(): void {
    this.#redial.start();
  }

  stop(): void {
    this.#redial.stop();
  }

  /** The box is in reach again, or has something else on air: what was refused may be taken now. */
  again(): void {
    this.#blocked = 0;
    this.#redial.nudge();
    if (this.#redial.phase !== 'refused') return;
    // Pages that take each other's place by themselves would do so for ever.
    if (!isPutAway(this.state.get())) this.#redial.start();
  }

  /** Somebody wants to watch here, and not where else it is open. */
  watchHere(): void {
    this.#former = null;
    this.#redial.start();
  }

  /** What the box says of what it shows. */
  follow({ playout_ms: playoutMs, codec_video: codec }: ViewedShowing): void {
    this.#playoutMs = playoutMs;
    this.#redial.call?.setPlayout(playoutMs);
    if (codec === this.#codec) return;
    this.#codec = codec;
    // What was refused for its codec may be taken now.
    this.again();
  }

  #onPhase(phase: Phase, problem: unknown): void {
    const { screen, voice } = this.state.get();
    const call = phase === 'up' ? this.#redial.call : null;
    if (call !== null) {
      this.#blocked = 0;
      this.#former = call.id;
    }
    this.state.set({
      phase,
      problem,
      screen: call?.screen ?? screen,
      voice: call?.voice ?? voice,
    });
  }

  #isFinal(error: unknown): boolean {
    if (!(error instanceof ApiProblem)) return true;
    if (error.code === 'media_blocked') {
      this.#blocked += 1;
      return this.#blocked >= BLOCKED_TIMES;
    }
    const isRefusal = error.status >= 400 && error.status < 500;
    return isRefusal && !PASSING.has(error.code);
  }
}

/** It had to give way to a newer page of the same person, and waits for a click. */
export function isPutAway({ phase, problem }: Pick<Watching, 'phase' | 'problem'>): boolean {
  return (
    phase === 'refused' &&
    problem instanceof ApiProblem &&
    problem.code === 'open_on_too_many_pages'
  );
}
