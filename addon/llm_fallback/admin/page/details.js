// One decision, told in full.

import {count, el} from '/dom.js'
import {FLAGS, duration, tokens} from '/format.js'

/** What was decided and why, each attempt on a common axis of time, and what the answer says of itself. */
export function details(decision) {
  const {rescue} = decision
  const facts = [
    ['Request', `${decision.method} ${decision.host}${decision.path}`],
    ['Route', decision.route],
    ['Written in', decision.source],
    ['Target', decision.target + (decision.instead_of ? ` instead of ${decision.instead_of}, which was out of rotation` : '')],
    ['Set by hand', decision.override],
    ['Rescue', rescue ? rescued(rescue) : null],
    ...decision.flags.map(flag => [`Flag ${flag}`, FLAGS[flag] ?? 'a response flag of Envoy']),
    ['Model', model(decision)],
    ['Tokens', tokens(decision) === '–' ? null : `${tokens(decision)} (in → out)`],
    ['First byte', decision.first_byte_s === null ? null : `after ${duration(decision.first_byte_s)}`],
    ['Took', duration(decision.duration_s)],
  ]
  return el(
    'div', {class: 'told'},
    el('p', {class: 'summary'}, decision.text),
    waterfall(decision),
    el(
      'dl', {},
      ...facts.filter(([, value]) => value).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
    ),
  )
}

function waterfall(decision) {
  const {attempts} = decision
  if (!attempts.length) return el('p', {}, 'Nothing was sent to a provider.')
  const ends = attempts.map(attempt => attempt.began_s + attempt.duration_s)
  const whole = Math.max(decision.duration_s, ...ends, 0.001)
  const last = attempts.length - 1
  const isAnswered = decision.first_byte_s !== null && attempts[last].status !== null
  return el(
    'ol', {class: 'waterfall', 'aria-label': count(attempts.length, 'attempt')},
    ...attempts.map((attempt, i) =>
      el(
        'li', {class: i === last && isAnswered ? 'is-last' : 'is-lost'},
        el('span', {class: 'attempt'}, told(attempt)),
        el(
          'span', {class: 'axis', 'aria-hidden': 'true'},
          bar('bar', attempt.began_s / whole, attempt.duration_s / whole),
          i === last && isAnswered ? bar('bar is-body', ends[i] / whole, 1 - ends[i] / whole) : null,
        ),
      ),
    ),
  )
}

function told(attempt) {
  const where = attempt.endpoint ? `${attempt.target} at ${attempt.endpoint}` : attempt.target
  const began = attempt.began_s >= 0.0005 ? `, begun after ${duration(attempt.began_s)}` : ''
  return `${where}: ${attempt.result} in ${duration(attempt.duration_s)}${began}`
}

function bar(name, from, width) {
  const node = el('span', {class: name})
  node.style.setProperty('--from', String(from))
  node.style.setProperty('--width', String(Math.max(0, width)))
  return node
}

function rescued({policy, reasons, is_spent: isSpent, is_too_large: isTooLarge, client_retries: retries}) {
  return [
    `by ${policy}`,
    reasons.length ? `after ${reasons.join(', ')}` : 'was not needed',
    isTooLarge ? 'too large: sent as if there were no policy' : null,
    isSpent ? 'nobody was left to ask' : null,
    retries ? `the client's retry ${retries}` : null,
  ].filter(Boolean).join('; ')
}

function model({model: answered, request_model: asked}) {
  if (!answered || !asked || answered === asked) return answered ?? asked
  return `${answered}; the client asked for ${asked}`
}
