// Elements by DOM calls alone. Text is a text node whatever it holds, and a link stays on this site.

const SVG = "http://www.w3.org/2000/svg";

/** Return an HTML element. Attributes that are null or false are left out; strings among the children become text. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Return an SVG element, in the same way. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/** Return the element of the page with this id. */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`expected an element #${id} in the page`);
  return found;
}

/** Set the text of an element, if it is another: an unchanged one is neither drawn nor announced again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, name === "href" ? checked(String(value)) : value === true ? "" : String(value));
  }
  element.append(...present(children));
  return element;
}

function present(children) {
  return children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false);
}

function checked(href) {
  if (!/^(#|\/(?![/\\]))/.test(href)) throw new Error("expected a link to this site");
  return href;
}
