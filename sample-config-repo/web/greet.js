const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** A greeting as HTML; what a name holds is text and never markup. */
export function greet(name) {
  return `<p>hello, ${name.replace(/[&<>"]/g, (char) => ENTITIES[char])}</p>`;
}
