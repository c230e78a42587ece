/** The other half of `timer.ts`: waits, then says which wait is over. */
onmessage = ({ data }: MessageEvent<{ id: number; ms: number }>) => {
  setTimeout(() => postMessage(data.id), data.ms);
};
