const numberTypes =
  /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|BIGNUM|FLOAT|DOUBLE|DECIMAL\(\d+,\s*\d+\))$/;

/** Whether the values of a type, as an answer names it, are numbers. */
export function isNumeric(type: string): boolean {
  return numberTypes.test(type);
}
