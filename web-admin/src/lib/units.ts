/** Amounts as people read them. */

/** Bytes in the unit that leaves at most three digits: `4.2 GB`. */
export function formatBytes(language: string, bytes: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let power = 0;
  let amount = bytes;
  while (amount >= 1000 && power < units.length - 1) {
    amount /= 1000;
    power += 1;
  }
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: units[power] ?? 'byte',
    maximumFractionDigits: amount < 10 && power > 1 ? 1 : 0,
  }).format(amount);
}

/** Bits per second as `3.1 Mbit/s`, without the unit's name: that is the catalogue's. */
export function megabits(language: string, bps: number): string {
  return new Intl.NumberFormat(language, {
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(bps / 1_000_000);
}

export function formatPercent(language: string, ratio: number): string {
  return new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 }).format(
    ratio,
  );
}

/** Names as people sort them: "PC 2" before "PC 10". */
export function byName(language: string): (a: { name: string }, b: { name: string }) => number {
  const collator = new Intl.Collator(language, { numeric: true });
  return (a, b) => collator.compare(a.name, b.name);
}
