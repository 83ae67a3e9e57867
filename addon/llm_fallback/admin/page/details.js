// One decision, told in full.

import {count, el, words} from '/dom.js'
import {FLAGS, duration, tokens} from '/format.js'

/** What was decided and why, each attempt on a common axis of time, and what the answer says of itself. */
export function details(decision) {
  const {rescue} = decision
  const facts = [
    ['Request', `${decision.method} ${decision.host}${decision.path ?? ''}`],
    ['Route', decision.route],
    ['Written in', decision.source],
    ['Target', decision.instead_of ? `${decision.target} instead of ${decision.instead_of}` : decision.target],
    ['Set by hand', decision.override],
    ['Rescue', rescue ? rescued(rescue) : null],
    ...decision.flags.map(flag => [`Flag ${flag}`, FLAGS[flag] ?? 'a response flag of Envoy']),
    ['Model', model(decision)],
    ['Tokens', tokens(decision) === '–' ? null : `${tokens(decision)} (in → out)`],
    ['Finish reason', decision.finish_reason],
    ['First byte', decision.first_byte_s === null ? null : `after ${duration(decision.first_byte_s)}`],
    ['Took', duration(decision.duration_s)],
  ]
  return el(
    'div', {class: 'told'},
    el('p', {class: 'summary'}, ...words(decision.text)),
    waterfall(decision),
    el(
      'dl', {},
      ...facts.filter(([, value]) => value).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, ...words(value)))),
    ),
  )
}

function waterfall(decision) {
  const {attempts} = decision
  if (!attempts.length) return el('p', {}, 'Nothing was sent to a provider.')
  const endOf = attempt => attempt.began_s + (attempt.lost_after_s ?? attempt.duration_s)
  const whole = Math.max(decision.duration_s, ...attempts.map(endOf), 0.001)
  const share = seconds => seconds / whole
  return el(
    'ol', {class: 'waterfall', 'aria-label': count(attempts.length, 'attempt')},
    ...attempts.map(attempt => {
      const isAnswer = attempt.lost_after_s === null && attempt.status !== null
      const end = endOf(attempt)
      return el(
        'li', {class: isAnswer ? 'is-answer' : 'is-lost'},
        el('span', {class: 'attempt'}, ...words(told(attempt))),
        el(
          'span', {class: 'axis', 'aria-hidden': 'true'},
          bar('bar', share(attempt.began_s), share(end - attempt.began_s)),
          isAnswer ? bar('bar is-body', share(end), share(whole - end)) : null,
        ),
      )
    }),
  )
}

function told(attempt) {
  const {lost_after_s: lostAfter, duration_s: took, began_s: began} = attempt
  return [
    `${attempt.endpoint ? `${attempt.target} at ${attempt.endpoint}` : attempt.target}: ${attempt.result} in ${duration(took)}`,
    began >= 0.0005 ? `begun after ${duration(began)}` : null,
    lostAfter > took + 0.0005 ? `thrown away after ${duration(lostAfter)}` : null,
    attempt.model ? `model ${attempt.model}` : null,
  ].filter(Boolean).join(', ')
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
