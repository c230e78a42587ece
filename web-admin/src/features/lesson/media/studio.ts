/**
 * What this tab has on air: the screen, the microphone, and the rules between them.
 *
 * The studio outlives the pages: a teacher may look at the attendance while the screen stays on
 * air. It belongs to one lesson at a time and closes with it. Everything here is this tab's own;
 * what the class really gets is the box's to say (`/lessons/{id}/stream`).
 */
import { $api, queryClient } from '../../../api/client';
import { after, linkState, onLiveEvent } from '../../../api/liveBox';
import type { Lesson, PublicationKind, StreamLimits, StreamState } from '../../../api/types';
import { announceSurface, type Surface, surfaceOf } from '../../../lib/privacy';
import { createStore } from '../../../lib/store';
import { captureMicrophone, captureScreen, isDeclined, isMissing } from './capture';
import { Channel, type OnAir } from './channel';
import { type LevelMeter, startMeter } from './level';
import { type Quality, qualityOf } from './quality';
import type { Codec } from './sdp';

/** Why nothing could be captured, each a key of the catalogue. */
export type CaptureFault = 'capture_failed' | 'microphone_declined' | 'microphone_missing';

export interface ScreenOnAir extends OnAir {
  surface: Surface;
  hasSound: boolean;
}

export interface PersonOnAir extends OnAir {
  isMuted: boolean;
  meter: LevelMeter;
}

export interface StudioState {
  lessonId: string | null;
  screen: ScreenOnAir | null;
  person: PersonOnAir | null;
  fault: CaptureFault | null;
}

const CLOSED: StudioState = { lessonId: null, screen: null, person: null, fault: null };

class Studio {
  readonly state = createStore<StudioState>(CLOSED);
  #screen: Channel | null = null;
  #picture: MediaStreamTrack | null = null;
  #person: Channel | null = null;
  #voice: MediaStreamTrack | null = null;
  /** What the box asks of publishers, once it has said so. */
  #quality: Quality | undefined;

  constructor() {
    linkState.subscribe(() => {
      if (linkState.get() === 'up') void this.#reconcile();
      // Nobody is signed in any longer.
      if (linkState.get() === 'off') this.close();
    });
    onLiveEvent((event) => {
      if (event.type !== 'lesson_changed') return;
      if (event.lesson_id === this.state.get().lessonId) void this.#closeIfOver();
    });
  }

  /**
   * Opens the browser's picker and puts the choice on air, in the place of what was there. `limits`:
   * what the box asks of publishers, if it has said so.
   */
  async shareScreen(lesson: Lesson, limits: StreamLimits | undefined): Promise<void> {
    this.#enter(lesson);
    this.follow(lesson.id, limits);
    let stream: MediaStream;
    try {
      stream = await captureScreen(this.#quality);
    } catch (error) {
      // Closing the picker is an answer, not a fault.
      if (!isDeclined(error)) this.#patch({ fault: 'capture_failed' });
      return;
    }
    const picture = stream.getVideoTracks()[0] ?? null;
    const surface = surfaceOf(picture?.getSettings().displaySurface);
    // First the cover, then the picture: no name may be in the first frame.
    if (surface === 'whole_screen') announceSurface(surface);
    this.#picture = picture;
    // The browser's own "Stop sharing".
    picture?.addEventListener('ended', () => {
      if (this.#picture === picture) this.stopScreen();
    });
    await this.#putScreenOnAir(lesson, stream, surface);
    // No name may be in the last frame of a whole screen either: its picture has ended only now.
    if (this.#picture === picture) announceSurface(surface);
  }

  stopScreen(): void {
    this.#picture = null;
    this.#screen?.stop();
    this.#screen = null;
    this.#patch({ screen: null });
    announceSurface(null);
  }

  /** Asks for the microphone once; after that it is only muted and unmuted. */
  async speak(lesson: Lesson, limits: StreamLimits | undefined): Promise<void> {
    this.#enter(lesson);
    this.follow(lesson.id, limits);
    if (this.#person !== null) return;
    try {
      const stream = await captureMicrophone();
      await this.#putPersonOnAir(lesson, stream);
    } catch (error) {
      const fault = isDeclined(error) ? 'microphone_declined' : 'capture_failed';
      this.#patch({ fault: isMissing(error) ? 'microphone_missing' : fault });
    }
  }

  toggleMute(): void {
    const { person } = this.state.get();
    if (this.#voice === null || person === null) return;
    this.#voice.enabled = person.isMuted;
    this.#patch({ person: { ...person, isMuted: !person.isMuted } });
  }

  stopSpeaking(): void {
    this.#voice = null;
    this.#person?.stop();
    this.#person = null;
    this.state.get().person?.meter.stop();
    this.#patch({ person: null });
  }

  /** Publishes again what was refused: the person has seen to it, or takes the place back. */
  again(kind: PublicationKind): void {
    const channel = kind === 'screen' ? this.#screen : this.#person;
    channel?.again();
  }

  forgetFault(): void {
    this.#patch({ fault: null });
  }

  /** What the box itself has on air takes the place of this tab's. */
  giveWay({ publications }: Pick<StreamState, 'publications'>): void {
    const isTaken = (kind: PublicationKind) =>
      publications.some((present) => present.kind === kind && present.source !== 'whip');
    if (this.#screen !== null && isTaken('screen')) this.stopScreen();
    if (this.#person !== null && isTaken('person')) this.stopSpeaking();
  }

  /** Keeps to what the box asks of publishers. */
  follow(lessonId: string, limits: StreamLimits | undefined): void {
    if (limits === undefined || lessonId !== this.state.get().lessonId) return;
    const quality = qualityOf(limits);
    this.#quality = quality;
    this.#screen?.setQuality(quality);
    this.#person?.setQuality(quality);
  }

  /** The lesson is over, or the person has left: nothing of them is captured any longer. */
  close(): void {
    this.stopScreen();
    this.stopSpeaking();
    this.#quality = undefined;
    this.state.set(CLOSED);
  }

  #enter(lesson: Lesson): void {
    if (this.state.get().lessonId !== lesson.id) this.close();
    this.#patch({ lessonId: lesson.id, fault: null });
  }

  async #putScreenOnAir(lesson: Lesson, stream: MediaStream, surface: Surface): Promise<void> {
    const hasSound = stream.getAudioTracks().length > 0;
    const { screen } = this.state.get();
    if (this.#screen !== null && screen !== null) {
      this.#patch({ screen: { ...screen, surface, hasSound } });
      await this.#screen.replaceStream(stream);
      return;
    }
    this.#patch({ screen: { phase: 'connecting', problem: null, surface, hasSound } });
    this.#screen = this.#open('screen', lesson, stream, (onAir) => {
      const present = this.state.get().screen;
      if (present !== null) this.#patch({ screen: { ...present, ...onAir } });
    });
  }

  async #putPersonOnAir(lesson: Lesson, stream: MediaStream): Promise<void> {
    const [voice] = stream.getAudioTracks();
    if (voice === undefined) return;
    const meter = await startMeter(voice);
    this.#voice = voice;
    // The microphone was unplugged.
    voice.addEventListener('ended', () => {
      if (this.#voice !== voice) return;
      this.stopSpeaking();
      this.#patch({ fault: 'microphone_missing' });
    });
    this.#patch({ person: { phase: 'connecting', problem: null, isMuted: false, meter } });
    this.#person = this.#open('person', lesson, stream, (onAir) => {
      const present = this.state.get().person;
      if (present !== null) this.#patch({ person: { ...present, ...onAir } });
    });
  }

  #open(
    kind: PublicationKind,
    lesson: Lesson,
    stream: MediaStream,
    onChange: (onAir: OnAir) => void,
  ): Channel {
    return new Channel({
      kind,
      lessonId: lesson.id,
      stream,
      quality: this.#quality,
      codec: wantedCodec,
      after,
      onChange,
    });
  }

  /** The box was away. What it no longer has is published again, unless the lesson is over. */
  async #reconcile(): Promise<void> {
    const [stream] = await Promise.all([this.#readStream(), this.#closeIfOver()]);
    if (stream === undefined) return;
    this.#screen?.reconcile(stream);
    this.#person?.reconcile(stream);
  }

  async #closeIfOver(): Promise<void> {
    const { lessonId } = this.state.get();
    if (lessonId === null) return;
    const lesson = await readLesson(lessonId);
    if (lesson !== undefined && lesson.status !== 'active') this.close();
  }

  #readStream(): Promise<StreamState | undefined> {
    const { lessonId } = this.state.get();
    return lessonId === null ? Promise.resolve(undefined) : readStream(lessonId);
  }

  #patch(change: Partial<StudioState>): void {
    this.state.set({ ...this.state.get(), ...change });
  }
}

/** Reads what has just changed; the page's own query for the same shares the one request. */
function readLesson(id: string): Promise<Lesson | undefined> {
  const options = $api.queryOptions('get', '/api/v1/lessons/{id}', { params: { path: { id } } });
  return queryClient.fetchQuery({ ...options, staleTime: 0 }).catch(() => undefined);
}

function readStream(id: string): Promise<StreamState | undefined> {
  const options = $api.queryOptions('get', '/api/v1/lessons/{id}/stream', {
    params: { path: { id } },
  });
  return queryClient.fetchQuery({ ...options, staleTime: 0 }).catch(() => undefined);
}

/** `?codec=vp8` forces VP8, for a browser whose H.264 is broken and for the tests. */
const wantedCodec: Codec =
  new URLSearchParams(location.search).get('codec') === 'vp8' ? 'vp8' : 'h264';

export const studio = new Studio();
