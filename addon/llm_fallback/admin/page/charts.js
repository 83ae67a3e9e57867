// Small charts, each with a sentence that says what it shows.

import {el, setAttribute, setText, svg} from '/dom.js'
import {countdown, duration, perSecond} from '/format.js'

const WIDTH = 240
const HEIGHT = 40
const BASELINE = 26
const NOW_S = 15

/** Bars: answered above the line, failed below it. */
export function requestsChart() {
  const answered = svg('path', {class: 'answered'})
  const failed = svg('path', {class: 'failed'})
  const line = svg('path', {class: 'baseline', d: `M0 ${BASELINE}H${WIDTH}`})
  const chart = figure('Requests, last minute', line, answered, failed)
  return {
    node: chart.node,
    update(series, recent, step) {
      const {requests, failures} = series
      const good = requests.map((number, i) => number - failures[i])
      const scale = Math.min(
        (BASELINE - 1) / Math.max(1, ...good),
        (HEIGHT - BASELINE - 1) / Math.max(1, ...failures),
      )
      setAttribute(answered, 'd', bars(good, -scale))
      setAttribute(failed, 'd', bars(failures, scale))
      chart.say(
        [perSecond(recent.rate), failuresOf(recent)],
        `Requests of the last 10 minutes: ${total(requests)}, of which ${total(failures)} failed; ` +
          `at most ${perSecond(Math.max(0, ...requests) / step)}`,
      )
      chart.node.classList.toggle('is-failing', isFailing(recent))
    },
  }
}

/** Whether it fails now: what has failed before that is said, and no alarm. */
const isFailing = ({failed_s: ago}) => ago !== null && ago <= NOW_S

function failuresOf(recent) {
  const {requests, failures, failed_s: ago} = recent
  if (!failures) return ''
  return `${failures} of ${requests} failed${isFailing(recent) ? '' : `, last ${countdown(ago)} ago`}`
}

/** Lines: the median full, the 95th percentile dashed. */
export function latencyChart() {
  const p50 = svg('path', {class: 'p50'})
  const p95 = svg('path', {class: 'p95'})
  const line = svg('path', {class: 'baseline', d: `M0 ${HEIGHT - 1}H${WIDTH}`})
  const chart = figure('Latency, latest', line, p95, p50)
  return {
    node: chart.node,
    update(series, recent) {
      const known = series.p95_ms.concat(series.p50_ms).filter(value => value !== null)
      const scale = (HEIGHT - 4) / Math.max(1, ...known)
      setAttribute(p50, 'd', lines(series.p50_ms, scale))
      setAttribute(p95, 'd', lines(series.p95_ms, scale))
      const ms = value => (value === null ? null : duration(value / 1000))
      chart.say(
        recent.p50 === null ? ['–'] : [`p50 ${ms(recent.p50)}`, `p95 ${ms(recent.p95)}`],
        known.length
          ? `Latency of the last 10 minutes: between ${ms(Math.min(...known))} and ${ms(Math.max(...known))}`
          : 'Latency: no answer in the last 10 minutes',
      )
    },
  }
}

function figure(name, ...shapes) {
  const picture = svg(
    'svg',
    {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': name},
    ...shapes,
  )
  const figures = el('span', {class: 'figures'})
  const parts = [el('b'), el('span')]
  figures.append(parts[0], ' ', parts[1])
  return {
    node: el('figure', {}, el('figcaption', {}, el('span', {}, name), ' ', figures), picture),
    say(texts, sentence) {
      parts.forEach((part, i) => setText(part, texts[i] ?? ''))
      setAttribute(picture, 'aria-label', sentence)
    },
  }
}

function bars(values, scale) {
  const width = WIDTH / values.length
  const bar = (value, i) =>
    value ? `M${fixed(i * width)} ${BASELINE}v${fixed(value * scale)}h${fixed(width)}V${BASELINE}z` : ''
  return values.map(bar).join('')
}

/** Straight lines from value to value; where there is none, a gap, and a lone one is a dot. */
function lines(values, scale) {
  const step = WIDTH / Math.max(1, values.length - 1)
  let isDrawing = false
  return values
    .map((value, i) => {
      if (value === null) {
        isDrawing = false
        return ''
      }
      const point = `${fixed(i * step)} ${fixed(HEIGHT - 2 - value * scale)}`
      const drawn = isDrawing ? `L${point}` : `M${point}h.01`
      isDrawing = true
      return drawn
    })
    .join('')
}

const fixed = number => number.toFixed(1)

const total = values => values.reduce((a, b) => a + b, 0)
