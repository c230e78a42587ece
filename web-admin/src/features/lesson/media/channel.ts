/**
 * One kind of publication of this tab: its stream, its call, and what a person may know of it.
 */
import { api } from '../../../api/client';
import { ApiProblem } from '../../../api/problem';
import type { PublicationKind, StreamState } from '../../../api/types';
import { whipEndpoint } from '../../../lib/paths';
import { type Phase, Redial } from '../../../lib/redial';
import type { After } from '../../../lib/timer';
import { captureBounds, isSameQuality, type Quality } from './quality';
import type { Codec } from './sdp';
import { WhipCall } from './whip';

export interface OnAir {
  phase: Phase;
  problem: unknown;
}

export interface ChannelPlan {
  kind: PublicationKind;
  lessonId: string;
  stream: MediaStream;
  /** Without one the browser sends as it likes, until the box has said what it asks for. */
  quality: Quality | undefined;
  codec: Codec;
  after: After;
  onChange(onAir: OnAir): void;
}

export class Channel {
  readonly kind: PublicationKind;
  readonly #plan: ChannelPlan;
  readonly #call: Redial<WhipCall>;
  #stream: MediaStream;
  #quality: Quality | undefined;
  /** The publications of this tab, by the ids that the box gave them. */
  readonly #ours = new Set<string>();

  constructor(plan: ChannelPlan) {
    this.kind = plan.kind;
    this.#plan = plan;
    this.#stream = plan.stream;
    this.#quality = plan.quality;
    this.#call = new Redial({
      dial: (signal) => this.#dial(signal),
      isFinal,
      after: plan.after,
      onPhase: (phase, problem) => plan.onChange({ phase, problem }),
    });
    this.#call.start();
  }

  /** Takes the publication off the air and lets go of the screen or the microphone. */
  stop(): void {
    this.#call.stop();
    this.#stream.getTracks().forEach((track) => track.stop());
  }

  /** Tries again after a refusal that a person has seen to. */
  again(): void {
    this.#call.start();
  }

  /**
   * Another screen or window, without a gap where the browser allows it. Once this resolves nothing
   * of the former one is captured any longer.
   */
  async replaceStream(stream: MediaStream): Promise<void> {
    const former = this.#stream;
    this.#stream = stream;
    // What a browser will not replace, a new call does.
    const isReplaced = await this.#replaceTracks(former, stream).catch(() => false);
    former.getTracks().forEach((track) => track.stop());
    if (!isReplaced) this.#call.renew();
  }

  setQuality(quality: Quality): void {
    if (this.#quality !== undefined && isSameQuality(quality, this.#quality)) return;
    this.#quality = quality;
    // An encoder that will not be told goes on as it was, and the next call starts as it should.
    void this.#call.call?.setQuality(quality).catch(() => {});
    for (const track of this.#stream.getVideoTracks()) {
      void track.applyConstraints(captureBounds(quality)).catch(() => {});
    }
  }

  /** The box is in reach again: is what was on air still there? */
  reconcile(stream: StreamState): void {
    this.#call.nudge();
    if (this.#call.phase === 'up' && !this.#isListed(stream)) this.#call.renew();
  }

  /** The tracks must match one to one; sound that came or went needs a new call. */
  async #replaceTracks(former: MediaStream, next: MediaStream): Promise<boolean> {
    const call = this.#call.call;
    if (call === null || former.getTracks().length !== next.getTracks().length) return false;
    const done = await Promise.all(next.getTracks().map((track) => call.replaceTrack(track)));
    return done.every(Boolean);
  }

  async #dial(signal: AbortSignal): Promise<WhipCall> {
    await this.#refuseIfReplaced();
    const call = await WhipCall.dial(
      {
        endpoint: whipEndpoint(this.#plan.lessonId, this.kind),
        stream: this.#stream,
        quality: this.#quality,
        codec: this.#plan.codec,
        after: this.#plan.after,
      },
      signal,
    );
    this.#ours.add(call.id);
    return call;
  }

  /**
   * The same teacher's second device takes this one's place. Were this tab to publish again, the two
   * would take turns for ever; so it looks first, and steps back.
   */
  async #refuseIfReplaced(): Promise<void> {
    if (this.#ours.size === 0) return;
    const { data } = await api.GET('/api/v1/lessons/{id}/stream', {
      params: { path: { id: this.#plan.lessonId } },
    });
    const present = data?.publications.find((publication) => publication.kind === this.kind);
    if (present !== undefined && !this.#ours.has(present.id)) {
      throw new ApiProblem(409, 'publication_replaced', {});
    }
  }

  #isListed(stream: StreamState): boolean {
    return stream.publications.some((publication) => this.#ours.has(publication.id));
  }
}

/**
 * A lesson that is "not active" is usually one that a restarted box has not taken up yet; when it
 * is really over, the live socket says so and the studio closes.
 */
function isFinal(error: unknown): boolean {
  if (!(error instanceof ApiProblem)) return true;
  const isRefusal = error.status >= 400 && error.status < 500;
  return isRefusal && error.code !== 'lesson_not_active' && error.code !== 'slow_down';
}
