/** A `<video>` or `<audio>` of a stream, which React has no attribute for. */
import { useCallback } from 'react';

interface Props {
  stream: MediaStream | null;
  isMuted: boolean;
  label: string;
  className?: string | undefined;
  /** There is a picture to be seen. */
  onPicture?: () => void;
}

export function VideoSurface({ stream, isMuted, label, className, onPicture }: Props) {
  return (
    <video
      ref={useSurface(stream, isMuted)}
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
  return <audio ref={useSurface(stream, isMuted)} muted autoPlay />;
}

function useSurface(stream: MediaStream | null, isMuted: boolean) {
  return useCallback(
    (element: HTMLMediaElement | null) => {
      if (element !== null) show(element, stream, isMuted);
    },
    [stream, isMuted],
  );
}

function show(element: HTMLMediaElement, stream: MediaStream | null, isMuted: boolean): void {
  if (element.srcObject !== stream) element.srcObject = stream;
  element.muted = isMuted;
  // Pressing the button is what the browser waited for.
  if (!isMuted) element.play().catch(() => {});
}
