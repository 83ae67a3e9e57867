// The page: follows the proxy, and draws what it knows at most once a frame.

import {Actions} from '/actions.js'
import {follow} from '/connection.js'
import {Decisions} from '/decisions.js'
import {byId, count, el, setText, sync, words} from '/dom.js'
import {clock} from '/format.js'
import {Model, headline, isOut, whoIsOut} from '/model.js'
import {Overrides} from '/overrides.js'
import {Targets} from '/targets.js'
import {Timeline} from '/timeline.js'

const model = new Model()
const decisions = new Decisions(model, draw)
const actions = new Actions(model, text => decisions.filter(text))
const targets = new Targets(model, actions)
const timeline = new Timeline(model)
const overrides = new Overrides(model, actions)

const MOST_NAMED = 3

const STATUS = {
  hidden: 'paused while hidden',
  looking: 'Eight pages are open already: this one looks every 5 s',
  reconnecting: 'reconnecting: the proxy does not answer',
}

let status = 'connecting'
let isPaused = false
let isDue = false

/** Draw soon, unless nobody looks: a hidden tab and a paused page are drawn when that is over. */
function draw() {
  if (isDue || document.hidden || isPaused) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    if (model.state && !isPaused) render()
  })
}

function render() {
  tellStatus()
  out()
  facts()
  configuration()
  overrides.render()
  empty()
  targets.render()
  timeline.render()
  decisions.render()
}

/** Who is out, where the headline has no room for that. */
function out() {
  const names = whoIsOut(model).map(target => target.name)
  const more = names.length - MOST_NAMED
  byId('out').hidden = names.length < 2
  sync(byId('out-list'), names.slice(0, MOST_NAMED), name => name, name => ({node: el('li', {}, targets.link(name))}))
  setText(byId('out-more'), more > 0 ? `and ${more} more` : '')
}

function facts() {
  const {proxy, hosts, started_at: started} = model.state
  const names = hosts.length > 3 ? `${hosts.slice(0, 3).join(', ')} and ${hosts.length - 3} more` : hosts.join(', ')
  setText(byId('facts'), [
    `Proxy ${proxy.join(', ')}`,
    hosts.length ? `${count(hosts.length, 'host')}: ${names}` : 'no hosts',
    `since ${clock(started)}`,
  ].join(' · '))
  setText(byId('version'), `asm-llm-fallback ${model.state.version}`)
}

function configuration() {
  const {sources, loaded_at: loadedAt, is_current: isCurrent, findings} = model.state.configuration
  const node = byId('configuration')
  node.hidden = false
  node.classList.toggle('is-problem', !isCurrent)
  setText(byId('configuration-text'), isCurrent
    ? `The configuration of ${clock(loadedAt)} from ${sources.join(', ')} is current.`
    : `The last edit has errors; the configuration of ${clock(loadedAt)} stays in force.`)
  byId('findings').hidden = findings.length === 0
  setText(byId('findings-summary'), count(findings.length, 'finding'))
  sync(byId('findings-list'), findings, finding => finding.text, finding => ({
    node: el('li', {}, el('b', {}, finding.severity), ' ', finding.text),
  }))
}

/** What to do where nothing has happened yet. */
function empty() {
  const {proxy, hosts, targets: all} = model.state
  byId('empty').hidden = model.decisions.length > 0 || all.some(target => target.requests > 0)
  const address = `http://${proxy[0] ?? '127.0.0.1:8080'}`
  const host = hosts.find(name => !name.includes('*')) ?? 'HOST'
  setText(byId('empty-commands'), [
    `export HTTP_PROXY=${address}`,
    `curl -x ${address} http://${host}/v1/chat/completions \\`,
    `  -H 'Content-Type: application/json' -d '{"messages": [{"role": "user", "content": "Hello"}]}'`,
  ].join('\n'))
}

function tellStatus() {
  const shown = isPaused ? 'paused' : status
  byId('connection').dataset.state = shown
  setText(byId('connection-text'), STATUS[shown] ?? shown)
  if (model.state && !isPaused) tellHeadline()
}

function tellHeadline() {
  const isGone = status === 'reconnecting'
  const parts = isGone ? [`No answer from the proxy; as of ${clock(model.state.now)}`] : headline(model)
  const text = parts.map(part => part.target ?? part).join('')
  if (byId('headline').textContent === text) return
  byId('headline').replaceChildren(...parts.flatMap(part => part.target ? [targets.link(part.target)] : words(part)))
}

/** Whether what is shown is how things are. */
const isKnown = () => status === 'live' || status === 'looking'

/** An outage is to be seen in the list of tabs, too, whoever looks at another one. */
function tellTitle() {
  const number = model.state.targets.filter(target => target.endpoints.some(isOut)).length
  if (status === 'reconnecting') document.title = 'no answer · llm-fallback'
  else document.title = number ? `${number} out · llm-fallback` : 'llm-fallback'
}

byId('pause').addEventListener('click', () => {
  isPaused = !isPaused
  byId('pause').setAttribute('aria-pressed', String(isPaused))
  tellStatus()
  draw()
})

document.addEventListener('visibilitychange', draw)

setInterval(() => {
  if (model.state && !document.hidden && !isPaused && isKnown()) targets.tick(performance.now())
}, 250)

follow({
  state(state) {
    model.take(state)
    tellTitle()
    draw()
  },
  decision(decision) {
    model.takeDecision(decision)
    draw()
  },
  timeline(entry) {
    if (model.takeEntry(entry) && !isPaused) timeline.tell(entry)
    draw()
  },
  status(now) {
    status = now
    if (model.state) tellTitle()
    if (isKnown()) draw() // which tells it: not before all of it is there to be seen
    else tellStatus()
    if (now === 'reconnecting' && !model.state) setText(byId('headline'), 'The proxy does not answer')
  },
})
