// What is emitted: values of every kind that one encoder or another treats in its own way.

export const plain = [
  ["hi"],
  ["hi", 1],
  ["numbers", 0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991],
  ["negative", -1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991],
  // Whole numbers beyond 2⁶⁴ become others in notepack, and so are none to ask for here.
  ["fractions", 1.5, -0.1, 5e-324, 1.5e-7, 123456789.125, 0.1],
  ["words", true, false, null],
  ["text", "", "é", "日本語", "😀", "\"\\\n\u0001\u2028", "x".repeat(31), "x".repeat(32), "é".repeat(128)],
  ["lists", [], [1, [2, [3]]], Array.from({ length: 15 }, (_, i) => i), Array.from({ length: 16 }, (_, i) => i)],
  ["maps", {}, { a: { b: { c: 1 } }, 1: 2, "": 3 }, Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, i]))],
  ["placeholder", { _placeholder: true, num: 0 }],
  [1, "a name that is a number"],
];

/** JSON has none of these. */
export const odd = [
  ["undefined", undefined, 1],
  ["undefined member", { a: undefined, b: 1 }],
  ["dates", new Date(0), new Date(1700000000123), new Date(2000), new Date(-1), new Date(5e12), new Date(8.64e15)],
  ["not finite", NaN, Infinity, -Infinity],
];

/** As many bytes as no length in any dialect can be taken for another. */
export const binary = [
  ["bin", Buffer.from([255, 0, 1])],
  ["nested", { a: [Buffer.from("first"), { b: Buffer.from("second") }] }, 7],
  ["empty", Buffer.alloc(0)],
  ["fifteen", Buffer.alloc(15, 7)],
  ["long", Buffer.alloc(300, 9)],
];
