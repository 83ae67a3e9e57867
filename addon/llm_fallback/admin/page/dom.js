// Making and changing elements. What the proxy says is data: it becomes text and attributes, never markup.

const SVG = 'http://www.w3.org/2000/svg'

/** An element with attributes (`on…`: listeners) and children; children that are null are left out. */
export function el(tag, attributes = {}, ...children) {
  return furnished(document.createElement(tag), attributes, children)
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return furnished(document.createElementNS(SVG, tag), attributes, children)
}

function furnished(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (value !== null) node.setAttribute(name, value)
  }
  node.append(...children.filter(child => child !== null))
  return node
}

export const byId = id => document.getElementById(id)

/** Text that is not there already; unchanged text must not be touched, for screen readers and for speed. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

/** The nodes of a text whose ports are never broken: `:8` in one line and `0` in the next would be two of them. */
export function words(text) {
  return text.split(/(:\d+)/).map((part, i) => (i % 2 ? el('span', {class: 'whole'}, part) : part))
}

/** The same as `setText`, for a text with addresses in it. */
export function setWords(node, text) {
  if (node.textContent !== text) node.replaceChildren(...words(text))
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value)
}

const PARTS = new WeakMap()

/**
 * Make the children of `parent` those of `items`, in that order, keeping what is there.
 *
 * `make(item)` is a part: `{node, update(item)}`. What has the focus is not moved, which would lose it.
 */
export function sync(parent, items, keyOf, make) {
  if (!PARTS.has(parent)) PARTS.set(parent, new Map())
  const known = PARTS.get(parent)
  const wanted = new Map(items.map(item => [keyOf(item), item]))
  for (const [key, part] of known) {
    if (wanted.has(key)) continue
    part.node.remove()
    known.delete(key)
  }
  let next = null
  for (const [key, item] of [...wanted].reverse()) {
    const part = known.get(key) ?? make(item)
    known.set(key, part)
    part.update?.(item)
    const isNew = part.node.parentNode !== parent
    if (isNew || (part.node.nextSibling !== next && !part.node.contains(document.activeElement))) {
      parent.insertBefore(part.node, next)
    }
    next = part.node
  }
}

/** `1 target`, `2 targets`. */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`

const SYMBOLS = {
  in: 'M8 2.5a5.5 5.5 0 1 0 .01 0z',
  out: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  partly: 'M8 2.5a5.5 5.5 0 1 0 .01 0zM8 2.5v11',
  held: 'M5.5 3v10M10.5 3v10',
  hand: 'M8 13.5V2.5M3.5 7L8 2.5 12.5 7',
}

/** A small picture beside words that say the same; its shape differs, not only its colour. */
export function symbol(kind) {
  const path = svg('path', {d: SYMBOLS[kind]})
  const node = svg('svg', {class: `symbol is-${kind}`, viewBox: '0 0 16 16', 'aria-hidden': 'true'}, path)
  return {
    node,
    set(now) {
      setAttribute(path, 'd', SYMBOLS[now])
      setAttribute(node, 'class', `symbol is-${now}`)
    },
  }
}
