/** What samples of `/metrics` say together: what was counted between them, and quantiles of it. Nothing of the page. */

export const KEPT_SECONDS = 120;
const FORGOTTEN_SECONDS = 60; // without an answer, as when a replica has gone or nobody watched

/** @type {(text: string, at: number) => Sample} of Prometheus's text form */
export function read(text, at) {
  const lines = [...text.matchAll(/^digit_classifier_([^ {]+(?:\{.*\})?) (\S+)$/gm)];
  return { at, values: Object.fromEntries(lines.map(([, series, value]) => [series, Number(value)])) };
}

/** Add a sample to those of its instance, unless that has begun to count anew; forget what is too old to say a rate.
 * @type {(kept: Map<string, Sample[]>, instance: string, sample: Sample) => void} */
export function keep(kept, instance, sample) {
  for (const [name, samples] of kept) if (sample.at - samples[samples.length - 1].at > FORGOTTEN_SECONDS) kept.delete(name);
  const isBefore = (/** @type {Sample} */ { at, values }) => sample.at - at <= KEPT_SECONDS &&
    Object.entries(values).every(([series, value]) => !/_(total|bucket)\b/.test(series) || (sample.values[series] ?? 0) >= value);
  kept.set(instance, [...(kept.get(instance) ?? []).filter(isBefore), sample]);
}

/** What a family counted from one sample, or the start, to another, in series that have `only` too.
 * @type {(from: Sample | null, to: Sample, family: string, label: string, only?: string) => Counts} */
export function counted(from, to, family, label, only = "") {
  const series = Object.keys(to.values).filter((each) => each.startsWith(`${family}{`) && each.includes(only));
  return series.map((each) => [each.match(`\\b${label}="(.*?)"`)?.[1] ?? "", to.values[each] - (from?.values[each] ?? 0)]);
}

export const total = (/** @type {Counts} */ counts) => counts.reduce((sum, [, count]) => sum + count, 0);

/** The value that `share` of what was counted is at most, as Prometheus's histogram_quantile has it; null where nothing was.
 * @type {(buckets: Counts, share: number) => number | null} */
export function quantile(buckets, share) {
  const rank = share * (buckets[buckets.length - 1]?.[1] ?? 0);
  if (!rank) return null;
  const place = buckets.findIndex(([, count]) => count >= rank);
  const [low, below] = place ? buckets[place - 1].map(Number) : [0, 0];
  const [high, upTo] = buckets[place].map(Number);
  return Number.isFinite(high) ? low + ((high - low) * (rank - below)) / (upTo - below) : low; // the last has no bound
}
