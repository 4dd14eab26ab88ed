/** Go's escapes of one letter, by byte; the quote that is escaped differs between strings and characters. */
export const goEscapes: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  92: '\\\\',
};
