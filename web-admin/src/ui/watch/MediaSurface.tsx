/** A `<video>` or `<audio>` of a stream, which React has no attribute for. */
import { type RefObject, useEffect, useRef } from 'react';

interface Props {
  stream: MediaStream | null;
  isMuted: boolean;
  label: string;
  className?: string | undefined;
  /** There is a picture to be seen. */
  onPicture?: () => void;
}

export function VideoSurface({ stream, isMuted, label, className, onPicture }: Props) {
  const element = useRef<HTMLVideoElement>(null);
  useStream(element, stream, isMuted);
  return (
    <video
      ref={element}
      className={className}
      aria-label={label}
      // A browser lets nothing sound that nobody has asked for.
      muted
      autoPlay
      playsInline
      onLoadedData={onPicture}
    />
  );
}

export function VoiceSurface({ stream, isMuted }: Pick<Props, 'stream' | 'isMuted'>) {
  const element = useRef<HTMLAudioElement>(null);
  useStream(element, stream, isMuted);
  return <audio ref={element} muted autoPlay />;
}

function useStream(
  element: RefObject<HTMLMediaElement | null>,
  stream: MediaStream | null,
  isMuted: boolean,
): void {
  useEffect(() => {
    if (element.current !== null) element.current.srcObject = stream;
  }, [element, stream]);
  useEffect(() => {
    const { current } = element;
    if (current === null) return;
    current.muted = isMuted;
    // Pressing the button is what the browser waited for.
    if (!isMuted) current.play().catch(() => {});
  }, [element, isMuted, stream]);
}
