/** Figures from rounds. A ratio is made inside its round, so what slows a whole round slows both of its halves. */

export interface Summary {
  readonly value: number;
  readonly floorValue: number;
  /** Median of the rounds' own ratios, value / floor. */
  readonly ratio: number;
  readonly ratioMin: number;
  readonly ratioMax: number;
  readonly rounds: number;
}

/** The middle value; of an even count the mean of the middle two. Throws on an empty list. */
export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5);
}

/** Linear between neighbours, 0 ≤ q ≤ 1. Throws on an empty list. */
export function quantile(values: ArrayLike<number>, q: number): number {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = Float64Array.from(values).sort();
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** One pair per round: what the measure gave and what its floor gave. Throws when a figure is not a positive number. */
export function summarize(pairs: readonly (readonly [value: number, floorValue: number])[]): Summary {
  for (const pair of pairs) {
    if (!pair.every((figure) => Number.isFinite(figure) && figure > 0)) throw new RangeError(`a round gave ${pair.join(' against ')}`);
  }
  const ratios = pairs.map(([value, floorValue]) => value / floorValue);
  return {
    value: median(pairs.map(([value]) => value)),
    floorValue: median(pairs.map(([, floorValue]) => floorValue)),
    ratio: median(ratios),
    ratioMin: Math.min(...ratios),
    ratioMax: Math.max(...ratios),
    rounds: pairs.length,
  };
}
