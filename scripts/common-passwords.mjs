// Writes the list of common passwords that nobody may choose.
//
//   npm pack @zxcvbn-ts/language-common@4.1.3 && tar xzf zxcvbn-ts-language-common-4.1.3.tgz
//   node scripts/common-passwords.mjs package/src/passwords.json > crates/domain/data/common-passwords.txt
//
// Only entries that the length rule would let through are kept, lower-cased, once each, in byte order: the
// look-up is a binary search in the text itself.
import { readFileSync } from "node:fs";

const MIN_CHARACTERS = 8;
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;

const source = JSON.parse(readFileSync(process.argv[2], "utf8"));
const entries = new Set(
  source
    .map((entry) => String(entry).normalize("NFC").toLowerCase())
    .filter((entry) => [...entry].length >= MIN_CHARACTERS),
);

const foreign = [...entries].filter((entry) => !PRINTABLE_ASCII.test(entry));
if (foreign.length > 0) {
  // The look-up compares ASCII bytes; an entry that it can never match must not be dropped in silence.
  console.error(`not printable ASCII: ${JSON.stringify(foreign)}`);
  process.exit(1);
}
// The default sort compares UTF-16 units, which for ASCII is byte order.
process.stdout.write([...entries].sort().join("\n") + "\n");
