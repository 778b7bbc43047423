/**
 * The numbers of record types and classes, and their names.
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
  RP: 17,
  AFSDB: 18,
  AAAA: 28,
  LOC: 29,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  TLSA: 52,
  SMIMEA: 53,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  URI: 256,
  CAA: 257,
} as const;

/** Classes (RFC 1035 §3.2.4, RFC 2136 §2.4): IN is the Internet. */
export const classes = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

const typeNumbers = new Map<string, number>(Object.entries(types));
const typeNames = new Map([...typeNumbers].map(([name, number]) => [number, name]));
const classNames = new Map(Object.entries(classes).map(([name, number]): [number, string] => [number, name]));

/** The name of a type, or `TYPE123` (RFC 3597 §5). */
export const typeName = (type: number): string => typeNames.get(type) ?? `TYPE${type}`;

/** The name of a class, or `CLASS123` (RFC 3597 §5). */
export const className = (class_: number): string => classNames.get(class_) ?? `CLASS${class_}`;

/** The number of a type by its name, also `TYPE123`; `undefined` when there is no such type. */
export function typeNumber(name: string): number | undefined {
  const known = typeNumbers.get(name) ?? typeNumbers.get(name.toUpperCase());
  if (known !== undefined) return known;
  const number = /^TYPE(\d{1,5})$/i.exec(name)?.[1];
  return number !== undefined && Number(number) < 65536 ? Number(number) : undefined;
}

/** Whether a zone may have records of this type; questions and messages have some others (RFC 6895 §3.1). */
export const isDataType = (type: number): boolean =>
  type > 0 && type < 65535 && type !== types.OPT && (type < 128 || type > 255);
