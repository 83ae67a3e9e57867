// The targets: those that need attention as cards, the others, where they are many, as lines that open.

import {latencyChart, requestsChart} from '/charts.js'
import {byId, count, el, setText, setWords, symbol, sync, words} from '/dom.js'
import {endpointPart} from '/endpoints.js'
import {countdown, duration, percent, perSecond} from '/format.js'
import {isOut} from '/model.js'

const FEW = 8

export class Targets {
  #opened = new Set()
  #ticking = new Set()
  #ranks = new Map()

  constructor(model, actions) {
    this.model = model
    this.actions = actions
    byId('find-target').addEventListener('input', () => this.render())
  }

  render() {
    const targets = this.model.state.targets
    byId('find').hidden = targets.length <= FEW
    const found = targets.filter(target => target.name.toLowerCase().includes(wanted()))
    const isCard = target => targets.length <= FEW || this.#opened.has(target.name) || this.#needsAttention(target)
    this.#show('cards', this.#inOrder(found.filter(isCard)), target => this.#card(target))
    const quiet = found.filter(target => !isCard(target))
    this.#show('quiet', quiet, target => this.#line(target))
    byId('quiet-heading').hidden = quiet.length === 0
    setText(byId('quiet-heading'), `${quiet.length} in rotation, with nothing to tell`)
    byId('legend').hidden = targets.length === 0
  }

  /** The name of a target, which leads to its card. */
  link = name => {
    const open = event => {
      event.preventDefault()
      this.#reveal(name)
    }
    return el('a', {href: `#${encodeURIComponent(idOf(name))}`, onclick: open}, ...words(name))
  }

  /** Count down; `now` is performance.now(). */
  tick(now) {
    const past = (now - this.model.takenAt) / 1000
    for (const part of this.#ticking) {
      if (part.node.isConnected) part.tick(past)
      else this.#ticking.delete(part)
    }
  }

  #show(id, targets, make) {
    const ticking = this.#ticking
    sync(byId(id), targets, target => target.name, target => {
      const part = make(target)
      if (part.tick) ticking.add(part)
      return part
    })
  }

  /** Those out of rotation first, then those that fail; nothing moves away under a pointer, which is about to click. */
  #inOrder(targets) {
    const isPointedAt = byId('cards').matches(':hover')
    for (const target of targets) {
      if (!isPointedAt || !this.#ranks.has(target.name)) this.#ranks.set(target.name, this.#rank(target))
    }
    return targets.toSorted((a, b) => this.#ranks.get(a.name) - this.#ranks.get(b.name))
  }

  #rank(target) {
    if (!target.in_rotation) return 0
    return target.endpoints.some(isOut) || this.model.recent(target.name).failures > 0 ? 1 : 2
  }

  /** Have the card of a target there, and the focus on it. */
  #reveal(name) {
    this.#opened.add(name)
    if (!name.toLowerCase().includes(wanted())) byId('find-target').value = ''
    this.render()
    document.getElementById(idOf(name))?.focus()
  }

  #needsAttention(target) {
    const {faults, pinned, pinnedTo} = this.model.byHand(target)
    return (
      target.endpoints.some(isOut) ||
      faults.length + pinned.length + pinnedTo.length > 0 ||
      this.model.recent(target.name).failures > 0
    )
  }

  #line(target) {
    const figures = el('span', {class: 'figures'})
    const mark = symbol('in')
    const open = () => this.#reveal(target.name)
    const button = el('button', {type: 'button', class: 'plain', onclick: open}, ...words(target.name))
    return {
      node: el('li', {}, mark.node, button, figures),
      update: now => {
        const recent = this.model.recent(now.name)
        const p50 = recent.p50 === null ? '' : ` · p50 ${duration(recent.p50 / 1000)}`
        setText(figures, recent.requests ? `${perSecond(recent.rate)}${p50}` : 'idle')
      },
    }
  }

  #card(target) {
    const card = new Card(target, this.actions)
    return {
      node: card.node,
      update: now => card.update(now, this.model),
      tick: past => card.tick(past),
    }
  }
}

const wanted = () => byId('find-target').value.trim().toLowerCase()

const idOf = name => `target-${name}`

class Card {
  #mark = symbol('in')
  #state = el('p', {class: 'state'})
  #about = el('p', {class: 'about'})
  #away = el('p', {class: 'away'})
  #byHand = el('ul', {class: 'by-hand'})
  #requests = requestsChart()
  #latency = latencyChart()
  #totals
  #untried = el('span', {class: 'untried'}, 'no attempts yet')
  #endpoints = el('ul', {class: 'endpoints'})
  #parts = new Map()
  #back

  constructor(target, actions) {
    this.actions = actions
    this.name = target.name
    const action = (label, onclick) => el('button', {type: 'button', onclick}, label, hidden(` ${target.name}`))
    this.#totals = el('button', {type: 'button', class: 'plain', onclick: () => actions.showDecisions(this.name)})
    this.#back = action('Return', () => actions.post('return', {place: this.name}))
    this.node = el(
      'li', {class: 'card', 'data-target': target.name},
      el('div', {class: 'card-head'}, this.#mark.node, el('h3', {id: idOf(target.name), tabindex: '-1'}, ...words(target.name)), this.#state),
      this.#about, this.#away, this.#byHand,
      el('div', {class: 'charts'}, this.#requests.node, this.#latency.node),
      this.#endpoints,
      el(
        'div', {class: 'card-foot'}, this.#totals, this.#untried,
        el(
          'div', {class: 'buttons'}, this.#back,
          action('Eject…', () => actions.openEject(this.target)),
          action('Pin…', () => actions.openPin(this.target)),
          action('Fault…', () => actions.openFault(this.target)),
        ),
      ),
    )
  }

  update(target, model) {
    this.target = target
    const recent = model.recent(target.name)
    const series = model.state.series
    const out = target.endpoints.filter(isOut)
    const held = out.length > 0 && out.every(endpoint => endpoint.state === 'held')
    this.#mark.set(!out.length ? 'in' : target.in_rotation ? 'partly' : held ? 'held' : 'out')
    this.node.classList.toggle('is-out', !target.in_rotation)
    setText(this.#about, about(target))
    this.#back.hidden = out.length === 0
    this.#tellAway(target, model)
    this.#tellByHand(target, model)
    this.#requests.update(series.targets[target.name] ?? NO_SERIES, recent, series.step_s)
    this.#latency.update(series.targets[target.name] ?? NO_SERIES, recent)
    setText(this.#totals, totals(target))
    this.#totals.hidden = target.requests + target.fallbacks_away === 0
    this.#untried.hidden = !this.#totals.hidden
    sync(this.#endpoints, target.endpoints, endpoint => endpoint.address, endpoint => {
      const part = endpointPart(this.actions, this.name)
      this.#parts.set(endpoint.address, part)
      return part
    })
    this.tick((performance.now() - model.takenAt) / 1000)
  }

  tick(past) {
    setText(this.#state, state(this.target, past))
    const isAlone = this.target.endpoints.length === 1
    for (const endpoint of this.target.endpoints) this.#parts.get(endpoint.address).tick(endpoint, past, isAlone)
  }

  #tellAway(target, model) {
    const to = model.goesTo(target.name)
    const isAway = to !== null && to !== target.name && !target.in_rotation
    setWords(this.#away, isAway ? `→ its requests go to ${to}` : target.in_rotation ? '' : '→ no request has asked for it since')
    this.#away.hidden = target.in_rotation
  }

  #tellByHand(target, model) {
    const {faults, pinned, pinnedTo} = model.byHand(target)
    const lines = [
      ...faults.map(fault => `fault injected: ${fault.text}`),
      ...pinned.map(pin => `pinned: requests for ${pin.host} go to ${pin.target}`),
      ...pinnedTo.map(pin => `pinned: takes all requests for ${pin.host}`),
    ]
    sync(this.#byHand, [...new Set(lines)], line => line, line => ({node: el('li', {}, ...words(line))}))
    this.#byHand.hidden = lines.length === 0
  }
}

const NO_SERIES = {requests: [], failures: [], p50_ms: [], p95_ms: []}

const hidden = text => el('span', {class: 'hearing'}, text)

function state({endpoints, in_rotation: isIn}, past) {
  const out = endpoints.filter(isOut)
  if (!out.length) return 'in rotation'
  const times = out.map(endpoint => endpoint.returns_in_s).filter(time => time !== null)
  const soonest = times.length ? ` · next back in ${countdown(Math.min(...times) - past)}` : ''
  if (isIn) return `in rotation, ${out.length} of ${endpoints.length} endpoints out${soonest}`
  if (endpoints.length > 1) return `out: all ${endpoints.length} endpoints${soonest}`
  const isOver = times.length && times[0] <= past
  if (isOver) return `${out[0].state} · back at the next sweep`
  return `${out[0].state}${soonest.replace('next back', 'back')}`
}

function about(target) {
  return [
    target.subset ? `subset ${target.subset}` : null,
    target.model,
    target.tls ? (target.sni && target.sni !== target.host ? `TLS as ${target.sni}` : 'TLS') : 'plain text',
    target.has_outlier_detection ? null : 'no outlier detection: never ejected by itself',
  ].filter(Boolean).join(' · ')
}

function totals(target) {
  const failed = target.failures ? `, ${target.failures} failed (${percent(target.failures / target.requests)})` : ''
  const away = target.fallbacks_away ? `, ${target.fallbacks_away} went elsewhere` : ''
  return `${count(target.requests, 'attempt')}${failed}${away}`
}
