import assert from "node:assert/strict";
import test from "node:test";

import { greet } from "./greet.js";

test("greets by name", () => {
  assert.equal(greet("anna"), "<p>hello, anna</p>");
});

test("a name is text, not markup", () => {
  assert.equal(greet("<b>ben</b>"), "<p>hello, &lt;b&gt;ben&lt;/b&gt;</p>");
});
