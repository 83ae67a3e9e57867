// What a person can do; the proxy's answer is one sentence, which is shown as it is.

import {byId, el, setText} from '/dom.js'

export class Actions {
  /** `showDecisions(text)` filters the decisions. */
  constructor(model, showDecisions) {
    this.model = model
    this.showDecisions = showDecisions
    this.#onSubmit('eject', form => ({place: form.place.value, ...optional('for_s', form.for_s.value)}))
    this.#onSubmit('pin', form => ({host: form.host.value, target: form.target.value}))
    this.#onSubmit('fault', form => ({place: form.place.value, fault: faultOf(form)}), oddHeader)
    formOf('fault').kind.addEventListener('change', showKind)
    byId('reload').addEventListener('click', () => this.post('reload', {}))
    byId('notice-dismiss').addEventListener('click', () => this.#say(''))
  }

  /** Do it, and say what came of it: true if it was done. */
  async post(name, body) {
    const {isDone, text} = await ask(name, body)
    this.#say(text, isDone)
    return isDone
  }

  openEject(target) {
    open('eject', form => form.place.replaceChildren(...places(target)))
  }

  openFault(target) {
    open('fault', form => form.place.replaceChildren(...places(target)))
    showKind()
  }

  openPin(target) {
    const {hosts, targets} = this.model.state
    const names = targets.map(each => each.name)
    const other = targets.find(each => each.in_rotation && each.name !== target.name)
    open('pin', form => {
      form.host.replaceChildren(...options([...new Set([...hosts, target.host])]))
      form.target.replaceChildren(...options(names))
      form.host.value = target.host
      form.target.value = target.fallback ?? this.model.goesTo(target.name) ?? (other ?? target).name
      if (!form.target.value) form.target.selectedIndex = 0
    })
  }

  /** `problemOf(form)` says in a sentence what is wrong with it, or null. */
  #onSubmit(name, bodyOf, problemOf = () => null) {
    const dialog = byId(name)
    const form = dialog.querySelector('form')
    const problem = form.querySelector('.problem')
    form.querySelector('.cancel').addEventListener('click', () => dialog.close())
    form.addEventListener('keydown', submitFromSelect)
    form.addEventListener('submit', async event => {
      event.preventDefault()
      const odd = problemOf(form.elements)
      setText(problem, odd ?? '')
      if (odd) return
      const {isDone, text} = await ask(name, bodyOf(form.elements))
      if (!isDone) return setText(problem, text)
      dialog.close()
      this.#say(text, true)
    })
  }

  #say(text, isDone = true) {
    setText(byId('notice-text'), text)
    byId('notice').classList.toggle('is-problem', !isDone)
    byId('notice-dismiss').hidden = text === ''
  }
}

async function ask(name, body) {
  try {
    const response = await fetch(`/api/actions/${name}`, {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify(body),
    })
    const said = await response.json().catch(() => ({}))
    const text = said.message ?? said.error ?? `The proxy answered with status ${response.status}.`
    return {isDone: response.ok, text}
  } catch {
    return {isDone: false, text: 'The proxy cannot be reached; nothing was done.'}
  }
}

const formOf = name => byId(name).querySelector('form').elements

function open(name, fill) {
  const dialog = byId(name)
  dialog.querySelector('form').reset()
  setText(dialog.querySelector('.problem'), '')
  fill(formOf(name))
  dialog.showModal()
  const first = dialog.querySelector('[autofocus]') ?? [...formOf(name)].find(isQuestion)
  first.focus()
}

/** Whether a field leaves a choice: a list of one does not. */
const isQuestion = field => !field.matches('button') && !field.disabled && field.options?.length !== 1

/** Browsers submit a form by Enter from its inputs only. In a list that is open, Enter chooses. */
function submitFromSelect(event) {
  const isClosed = CSS.supports('selector(:open)') && event.target.matches('select:not(:open)')
  if (event.key !== 'Enter' || !isClosed) return
  event.preventDefault()
  event.currentTarget.requestSubmit()
}

function places(target) {
  const names = target.endpoints.map(endpoint => `${target.name}@${endpoint.address}`)
  return options([target.name, ...(names.length > 1 ? names : [])])
}

const options = names => names.map(name => el('option', {value: name}, name))

/** Show, and ask for, what belongs to the kind of fault that is chosen, and nothing else. */
function showKind() {
  const kind = formOf('fault').kind.value
  for (const label of document.querySelectorAll('#fault [data-kind]')) {
    label.hidden = label.dataset.kind !== kind
    label.querySelector('input, textarea').disabled = label.hidden
  }
}

function faultOf(form) {
  const kind = form.kind.value
  const headers = headersOf(form.headers.value)
  return {
    kind,
    ...(kind === 'status' ? {status: Number(form.status.value)} : {}),
    ...(kind === 'status' && form.body.value ? {body: form.body.value} : {}),
    ...(kind === 'status' && Object.keys(headers).length ? {headers} : {}),
    ...(kind === 'delay' ? {delay_s: Number(form.delay_s.value)} : {}),
    percentage: Number(form.percentage.value),
    ...optional('count', form.count.value),
  }
}

const linesOf = text => text.split('\n').filter(line => line.trim())

function headersOf(text) {
  return Object.fromEntries(linesOf(text).map(line => {
    const [name, ...value] = line.split(':')
    return [name.trim(), value.join(':').trim()]
  }))
}

function oddHeader(form) {
  const line = form.kind.value === 'status' && linesOf(form.headers.value).find(each => each.trim().indexOf(':') < 1)
  return line ? `“${line.trim()}” is no header; write NAME: VALUE` : null
}

const optional = (name, text) => (text === '' ? {} : {[name]: Number(text)})
