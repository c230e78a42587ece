/**
 * Runs on the audio thread: says the loudest sample of every tenth of a second.
 *
 * The page is hidden while the teacher shows something else, and only here is sound still counted
 * without a gap.
 */
declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: unknown): void;

class PeakMeter extends AudioWorkletProcessor {
  #peak = 0;
  #counted = 0;

  process(inputs: Float32Array[][]): boolean {
    const channel = inputs[0]?.[0];
    if (channel === undefined) return true;
    for (const sample of channel) this.#peak = Math.max(this.#peak, Math.abs(sample));
    this.#counted += channel.length;
    if (this.#counted >= sampleRate / 10) {
      this.port.postMessage(this.#peak);
      this.#peak = 0;
      this.#counted = 0;
    }
    return true;
  }
}

registerProcessor('peak-meter', PeakMeter);
