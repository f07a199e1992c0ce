/** The plot of the status page: an area of bytes per second over an hour, as inline SVG with text around it. */

import { Html, html } from './html.ts';
import { rateText } from './units.ts';

const WIDTH = 960;
const HEIGHT = 160;

/** The scale ends at a number of this kind times a power of two. */
const STEPS_OF_SCALE = [1, 1.5, 2, 3];

/**
 * @param bytesPerSecond oldest first, evenly spaced over the hour.
 * @param measured how many of the newest were measured.
 */
export function throughputPlot(bytesPerSecond: readonly number[], measured: number): Html {
  const most = Math.max(0, ...bytesPerSecond);
  if (measured < 1) return html`<p class="soft">Not measured yet: the first value comes in a few seconds.</p>`;
  if (most === 0) return html`<p class="soft">Nothing was sent in the last hour.</p>`;
  const top = scaleTop(most);
  const step = WIDTH / Math.max(1, bytesPerSecond.length - 1);
  const points = bytesPerSecond.map(
    (rate, index) => `${(index * step).toFixed(1)} ${(HEIGHT - (rate / top) * HEIGHT).toFixed(1)}`,
  );
  const curve = `M${points.join('L')}`;
  const half = HEIGHT / 2;
  const label = `Throughput of the last hour, at most ${rateText(most)}`;
  // Numbers alone: nothing in the markup comes from a peer.
  const drawing = new Html(
    `<path class="axis" d="M0 0H${WIDTH}M0 ${half}H${WIDTH}M0 ${HEIGHT}H${WIDTH}"/>` +
      `<path class="area" d="${curve}V${HEIGHT}H0Z"/><path class="curve" d="${curve}"/>`,
  );
  return html`<div class="scale"><span>${rateText(top)}</span><span>peak ${rateText(most)}</span></div>
<svg viewBox="0 -2 ${WIDTH} ${HEIGHT + 4}" preserveAspectRatio="none" role="img" aria-label="${label}">${drawing}</svg>
<div class="scale"><span>60 minutes ago</span><span>30</span><span>now</span></div>`;
}

function scaleTop(most: number): number {
  const base = 2 ** Math.floor(Math.log2(most));
  return base * (STEPS_OF_SCALE.find((factor) => base * factor >= most) ?? 4);
}
