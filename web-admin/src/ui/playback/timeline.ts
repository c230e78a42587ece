/**
 * A track as a row of pieces on the recording's own time.
 *
 * A piece is one fragment of one segment: the least that can be fetched and decoded. Between pieces
 * there may be holes, for nobody is on air all the time.
 */
import type { Recording, Segment, Track } from '../../api/types';

export interface Piece {
  segment: Segment;
  /** On the recording's time. */
  fromMs: number;
  toMs: number;
  /** A decoder can start here. */
  isEntry: boolean;
  /** In bytes from the start of the segment's file. */
  offset: number;
  length: number;
}

/** What a fragment lasts until the next one says better: the recorder cuts them at a second. */
const FRAGMENT_MS = 1000;

export function piecesOf(track: Track): Piece[] {
  return track.segments
    .flatMap((segment) =>
      segment.fragments.map((fragment, index) => ({
        segment,
        fromMs: segment.offset_ms + fragment.at_ms,
        toMs: segment.offset_ms + endOf(segment, index),
        isEntry: fragment.keyframe,
        offset: fragment.offset,
        length: fragment.length,
      })),
    )
    .toSorted((a, b) => a.fromMs - b.fromMs);
}

/** A fragment ends where the next begins; the last one where its segment does. */
function endOf(segment: Segment, index: number): number {
  const next = segment.fragments[index + 1];
  if (next !== undefined) return next.at_ms;
  const at = segment.fragments[index]?.at_ms ?? 0;
  return segment.duration_ms > at ? segment.duration_ms : at + FRAGMENT_MS;
}

export function pieceAt(pieces: readonly Piece[], ms: number): Piece | undefined {
  return pieces.find((piece) => piece.fromMs <= ms && ms < piece.toMs);
}

/** Where something of any track begins again after a hole. */
export function nextStart(tracks: readonly (readonly Piece[])[], ms: number): number | undefined {
  const starts = tracks.flatMap(
    (pieces) => pieces.find((piece) => piece.fromMs > ms)?.fromMs ?? [],
  );
  return starts.length === 0 ? undefined : Math.min(...starts);
}

/** A picture that comes so soon after the first sound is what a recording opens with. */
const PICTURE_SOON_MS = 5000;

/** Where a recording opens: at its first picture, unless long talk stands before that. */
export function openingMs(tracks: readonly Track[]): number {
  const start = (of: readonly Track[]) =>
    Math.min(...of.flatMap((track) => piecesOf(track)[0]?.fromMs ?? []));
  const first = start(tracks);
  const picture = start(tracks.filter(({ kind }) => kind === 'screen_video'));
  // What there is none of starts at infinity.
  if (picture - first <= PICTURE_SOON_MS) return picture;
  return Number.isFinite(first) ? first : 0;
}

export function durationMs(recording: Pick<Recording, 'duration_seconds' | 'tracks'>): number {
  const ends = recording.tracks.flatMap((track) => piecesOf(track).at(-1)?.toMs ?? []);
  return Math.max(recording.duration_seconds * 1000, ...ends);
}

/** Neighbours in one file, fetched by one request: a lesson has thousands of fragments. */
export interface Run {
  segment: Segment;
  pieces: Piece[];
  offset: number;
  length: number;
}

/**
 * The next stretch to fetch from `fromMs` on, at most `aheadMs` of it, skipping what is there.
 *
 * A picture can only be built from a keyframe on: where nothing before it is loaded, the stretch
 * begins at the last one.
 */
export function nextRun(
  pieces: readonly Piece[],
  fromMs: number,
  aheadMs: number,
  isLoaded: (piece: Piece) => boolean,
  mostPieces: number,
): Run | undefined {
  const wanted = pieces.findIndex(
    (piece) => piece.toMs > fromMs && piece.fromMs < fromMs + aheadMs && !isLoaded(piece),
  );
  const begin = entryBefore(pieces, wanted, isLoaded);
  const first = pieces[begin];
  if (first === undefined) return undefined;
  const run: Piece[] = [first];
  for (const piece of pieces.slice(begin + 1, begin + mostPieces)) {
    const last = run.at(-1) ?? first;
    const isNeighbour =
      piece.segment.id === first.segment.id && piece.offset === last.offset + last.length;
    if (!isNeighbour || isLoaded(piece) || piece.fromMs >= fromMs + aheadMs) break;
    run.push(piece);
  }
  const last = run.at(-1) ?? first;
  return {
    segment: first.segment,
    pieces: run,
    offset: first.offset,
    length: last.offset + last.length - first.offset,
  };
}

/** The piece at which decoding can begin so that the one at `index` can be shown. */
function entryBefore(
  pieces: readonly Piece[],
  index: number,
  isLoaded: (piece: Piece) => boolean,
): number {
  const piece = pieces[index];
  const former = pieces[index - 1];
  if (piece === undefined || piece.isEntry || former === undefined) return index;
  if (former.segment.id !== piece.segment.id || isLoaded(former)) return index;
  return entryBefore(pieces, index - 1, isLoaded);
}
