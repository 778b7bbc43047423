/**
 * The numbers of record types and classes, and the names of types.
 *
 * @module
 */

/** Record types, and the types that only a question has (RFC 1035 §3.2.2, §3.2.3; IANA's DNS parameters list them all). */
export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  OPT: 41,
  SVCB: 64,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

/** Classes (RFC 1035 §3.2.4): IN is the Internet. */
export const classes = { IN: 1, ANY: 255 } as const;

const numbers = new Map<string, number>(Object.entries(types));
const names = new Map([...numbers].map(([name, number]) => [number, name]));

/** The name of a type, or `TYPE123` (RFC 3597 §5). */
export const typeName = (type: number): string => names.get(type) ?? `TYPE${type}`;

/** The number of a type by its name, also `TYPE123`; `undefined` when there is no such type. */
export function typeNumber(name: string): number | undefined {
  const known = numbers.get(name) ?? numbers.get(name.toUpperCase());
  if (known !== undefined) return known;
  const number = /^TYPE(\d{1,5})$/i.exec(name)?.[1];
  return number !== undefined && Number(number) < 65536 ? Number(number) : undefined;
}
