/** Whatever is read on a page can be read: WCAG 2.2, 1.4.3, at least 4.5 to 1, in both schemes. */
import { DEFAULT_THEME, mergeMantineTheme } from '@mantine/core';
import { describe, expect, it } from 'vitest';

import { theme, tokens } from './theme';

const ENOUGH = 4.5;
const WHITE = '#ffffff';

const whole = mergeMantineTheme(DEFAULT_THEME, theme);
const { variables, light, dark } = tokens(whole);
type Colours = Partial<Record<string, string>>;
const common: Colours = variables;

/** What stands on what. */
const READ: [ink: string, ground: string][] = [
  ...['--mantine-color-text', '--mantine-color-dimmed'].flatMap((ink): [string, string][] => [
    [ink, '--mantine-color-body'],
    [ink, '--al-card'],
    [ink, '--al-sunk'],
  ]),
  ['--mantine-color-placeholder', '--al-card'],
  ['--mantine-color-text', '--al-pine-soft'],
  ['--mantine-color-dimmed', '--al-pine-soft'],
  ...['pine', 'air', 'frost', 'amber'].flatMap((tone): [string, string][] => [
    [`--al-${tone}`, `--al-${tone}-soft`],
    [`--al-${tone}`, '--al-card'],
    [`--al-${tone}`, '--mantine-color-body'],
  ]),
  ['--al-stage-ink', '--al-stage'],
  ['--al-stage-dim', '--al-stage'],
];

describe.each(Object.entries({ light, dark }))('in the %s scheme', (_, scheme) => {
  const own: Colours = scheme;
  const colour = (name: string) => own[name] ?? common[name] ?? name;
  it.each(READ)('%s is read on %s', (ink, ground) => {
    expect(contrast(colour(ink), colour(ground))).toBeGreaterThanOrEqual(ENOUGH);
  });
});

it('white is read on everything that is filled', () => {
  const { pine, air, frost, amber } = whole.colors;
  for (const filled of [pine?.[7], pine?.[6], air?.[7], air?.[6], frost?.[7], amber?.[7]]) {
    expect(contrast(WHITE, filled ?? WHITE), filled).toBeGreaterThanOrEqual(ENOUGH);
  }
});

function contrast(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

/** Relative luminance of `#rrggbb`. */
function luminance(colour: string): number {
  const channel = (at: number) => {
    const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}
